"""A screen of `tmux capture-pane -e -p`, on standard input, as an SVG picture on standard output.

How live.svg was made (the view of `puvae run --live` after nine seconds, 100 columns and 30 rows):

    tmux new-session -d -s live -x 100 -y 30 "COLORTERM=truecolor target/release/puvae run --live --fps 30 --threads 1 \
        --source idx:examples/frames/fashion-mnist-demo-images.idx3-ubyte.gz,examples/frames/fashion-mnist-demo-labels.idx1-ubyte.gz \
        --purifier models/fashion-mnist-puvae-lite.onnx --classifier models/fashion-mnist-classifier-a.onnx"
    sleep 9; tmux capture-pane -e -p -t live | python3 docs/figures/live.py > docs/figures/live.svg
"""

import re
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 8, 16, 12
PAPER, INK = "#16181d", "#d5d8de"
NAMED = ["#16181d", "#e0605e", "#7fbf6a", "#d9b44a", "#6a9fd8", "#b98ad0", "#5fb8b8", "#d5d8de"]
NAMED += ["#7b818c", "#ff7b79", "#9be084", "#f2cf6a", "#8fbcf0", "#d7aaf0", "#7fd8d8", "#ffffff"]


def indexed(index):
    if index < 16:
        return NAMED[index]
    if index >= 232:
        return "#" + f"{8 + 10 * (index - 232):02x}" * 3
    cube = [0, 95, 135, 175, 215, 255]
    index -= 16
    return "#%02x%02x%02x" % (cube[index // 36], cube[index // 6 % 6], cube[index % 6])


def styled(style, codes):
    codes = [int(code or 0) for code in codes.split(";")]
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = {}
        elif code in (1, 7):
            style = {**style, code: True}
        elif code in (38, 48):
            kind = codes.pop(0)
            colour = indexed(codes.pop(0)) if kind == 5 else "#%02x%02x%02x" % tuple(codes.pop(0) for _ in range(3))
            style = {**style, code: colour}
        elif code in (39, 49):
            style = {key: value for key, value in style.items() if key != code - 1}
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = {**style, 38: NAMED[code % 10 + (8 if code >= 90 else 0)]}
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = {**style, 48: NAMED[code % 10 + (8 if code >= 100 else 0)]}
    return style


def cells(line, style):
    for escape_codes, letter in re.findall(r"\x1b\[([0-9;]*)m|([^\x1b])", line):
        if letter:
            ink, paper = style.get(38, INK), style.get(48, PAPER)
            yield letter, *((paper, ink) if 7 in style else (ink, paper)), 1 in style
        else:
            style = styled(style, escape_codes)
    yield style


def rectangle(x, y, height, colour):
    return f'<rect x="{x}" y="{y:g}" width="{WIDTH + 0.3}" height="{height:g}" fill="{colour}"/>'


def cell(letter, ink, paper, bold, x, y):
    if paper != PAPER:
        yield rectangle(x, y, HEIGHT + 0.3, paper)
    if letter == "▀":
        yield rectangle(x, y, HEIGHT / 2 + 0.3, ink)
    elif "▁" <= letter <= "█":
        part = (ord(letter) - ord("▁") + 1) / 8 * HEIGHT
        yield rectangle(x, y + HEIGHT - part, part, ink)
    elif letter != " ":
        weight = ' font-weight="bold"' if bold else ""
        yield f'<text x="{x}" y="{y + 12}" fill="{ink}"{weight}>{escape(letter)}</text>'


def main():
    style, parts, columns = {}, [], 0
    lines = sys.stdin.read().splitlines()
    for row, line in enumerate(lines):
        *letters, style = cells(line, style)
        columns = max(columns, len(letters))
        for column, one in enumerate(letters):
            parts += cell(*one, MARGIN + column * WIDTH, MARGIN + row * HEIGHT)
    width, height = columns * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
          f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13">')
    print(f'<rect width="{width}" height="{height}" rx="6" fill="{PAPER}"/>')
    print("\n".join(parts))
    print("</svg>")


main()

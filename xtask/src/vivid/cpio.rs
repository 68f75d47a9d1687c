//! An initramfs: the "newc" cpio format, as the kernel's documentation (`early-userspace/buffer-format`) has it.

/// A file, a folder or a link, as the kernel's mode bits say.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Folder = 0o040_755,
    File = 0o100_755,
    Link = 0o120_777,
}

/// An archive in the making.
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: usize,
}

impl Archive {
    /// With the folders that a guest needs to begin with.
    pub(super) fn new(folders: &[&str]) -> Self {
        let mut archive = Self { bytes: Vec::new(), entries: 0 };
        for folder in folders {
            archive.entry(folder, Kind::Folder as u32, b"");
        }
        archive
    }

    /// Adds a file that everybody may read and run; its folder must be there.
    pub(super) fn file(&mut self, path: &str, contents: &[u8]) {
        self.entry(path, Kind::File as u32, contents);
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, path: &str, to: &str) {
        self.entry(path, Kind::Link as u32, to.as_bytes());
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, b"");
        self.bytes
    }

    /// Header (all numbers as 8 hexadecimal digits), name with a zero, contents; the last two padded to 4 bytes.
    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(contents.len()).expect("a file in the guest has less than 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("a file's name has less than 4 GiB");
        let inode = u32::try_from(self.entries).expect("a guest has less than 4 billion files");
        let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_its_header_its_name_and_its_contents_each_at_a_multiple_of_four() {
        let mut archive = Archive::new(&["bin"]);
        archive.file("bin/sh", b"12345");
        archive.link("init", "bin/sh");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        // 6 + 13 · 8 = 110 bytes of header.
        assert!(text.starts_with("07070100000001000041ed"), "a folder, mode 755: {}", &text[..30]);
        assert_eq!(&text[110..116], "bin\0\0\0", "112 is a multiple of 4, 114 is not");
        let file = &text[116..];
        assert!(file.starts_with("07070100000002000081ed"), "a file, mode 755");
        assert_eq!(&file[54..62], "00000005", "five bytes");
        assert_eq!(&file[110..126], "bin/sh\0\0\0\0".to_owned() + "12345\0");
        assert!(text.contains("TRAILER!!!\0") && bytes.len().is_multiple_of(4));
    }
}

//! Data sets on disk: what is read, what is held out, and what is refused.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, GrayImage, ImageEncoder as _, RgbImage};
use puvae::idx::{Images, write_images, write_labels};
use puvae::model::hash::FileHash;
use puvae_training::data::publisher::{self, Hashed, Remote};
use puvae_training::data::{DataSet, Shape, Split};
use tch::{Device, Tensor};

fn load(root: &Path, name: &str, shape: Shape) -> anyhow::Result<DataSet> {
    DataSet::load(root, name, shape, Device::Cpu)
}

fn refused(root: &Path, name: &str) -> String {
    format!("{:#}", load(root, name, Shape::default()).unwrap_err())
}

/// Pictures of two classes, one red and one grey, in sizes of their own.
fn pictures(root: &Path) {
    for (part, count) in [("train", 6), ("test", 2)] {
        for (class, colour) in [("red", [255, 0, 0]), ("grey", [100; 3])] {
            let folder = root.join("signs").join(part).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for index in 0..count {
                let picture = RgbImage::from_pixel(40 + index, 30, image::Rgb(colour));
                picture.save(folder.join(format!("{index}.png"))).unwrap();
            }
        }
    }
}

fn bytes(x: &Tensor) -> Vec<i64> {
    Vec::try_from(&(x * 255.0).round().to_kind(tch::Kind::Int64).reshape([-1])).unwrap()
}

/// The first picture of a class, as a batch.
fn first_of(split: &Split, class: i64) -> Tensor {
    let index = (0..split.len()).find(|&index| split.range(index..index + 1).y.int64_value(&[0]) == class).unwrap();
    split.range(index..index + 1).x
}

#[test]
fn a_folder_for_each_class_is_a_data_set_of_any_size_and_colour() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let set = load(folder.path(), "signs", Shape { side: Some(16), channels: None }).unwrap();
    assert_eq!(set.classes, ["grey", "red"]);
    assert_eq!((set.train.len(), set.held_out.len(), set.test.len()), (10, 2, 4));
    assert_eq!((set.side_px, set.channels, set.train.shape()), (16, 3, [3, 16, 16]));
    let red = first_of(&set.test, 1);
    assert_eq!(bytes(&red)[..256], [255; 256]);
    assert_eq!(bytes(&red)[256..], [0; 512]);
    assert_eq!(set.held_out.labels().sort(0, false).0, Tensor::from_slice(&[0i64, 1]));

    let set = load(folder.path(), "signs", Shape { side: None, channels: Some(1) }).unwrap();
    assert_eq!(set.train.shape(), [1, 32, 32]);
    assert!(bytes(&first_of(&set.test, 0)).iter().all(|&value| value == 100));
}

#[test]
fn a_picture_is_turned_upright_as_its_exif_tag_says() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    // White above black, stored on its side: "the row 0 is the right-hand side" (orientation 6).
    let mut stored = RgbImage::from_pixel(32, 32, image::Rgb([0; 3]));
    (0..16).for_each(|x| (0..32).for_each(|y| stored.put_pixel(x, y, image::Rgb([255; 3]))));
    for index in 0..2 {
        let file = std::fs::File::create(folder.path().join(format!("signs/test/red/{index}.png"))).unwrap();
        let mut encoder = PngEncoder::new(file);
        encoder.set_exif_metadata(exif_orientation(6)).unwrap();
        encoder.write_image(&stored, 32, 32, ExtendedColorType::Rgb8).unwrap();
    }
    let set = load(folder.path(), "signs", Shape { side: Some(16), channels: Some(1) }).unwrap();
    let values = bytes(&first_of(&set.test, 1));
    assert_eq!((values[3 * 16 + 3], values[12 * 16 + 12]), (255, 0), "{values:?}");
    assert_eq!((values[3 * 16 + 12], values[12 * 16 + 3]), (255, 0), "{values:?}");
}

/// An EXIF block with nothing but an orientation: TIFF's header, and a directory of one entry of the tag 0x0112.
fn exif_orientation(orientation: u8) -> Vec<u8> {
    let header = [b"II".as_slice(), &[42, 0, 8, 0, 0, 0]].concat();
    let entry = [1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
    [header, entry.to_vec()].concat()
}

#[test]
fn the_first_pictures_of_a_part_are_of_every_class() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let set = load(folder.path(), "signs", Shape::default()).unwrap();
    let (labels, _, counts) = set.train.first(6).labels().unique_consecutive(false, true, 0);
    assert!(labels.numel() > 2, "one class after the other: {counts:?}");
    let again = load(folder.path(), "signs", Shape::default()).unwrap();
    assert_eq!(set.train.labels(), again.train.labels(), "the same order every time");
}

#[test]
fn one_broken_picture_is_named_and_nothing_is_read() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let broken = folder.path().join("signs/train/red/3.png");
    let content = std::fs::read(&broken).unwrap();
    std::fs::write(&broken, &content[..content.len() / 2]).unwrap();
    let text = refused(folder.path(), "signs");
    assert!(text.contains("train/red/3.png: broken picture: "), "{text}");
    std::fs::write(&broken, content).unwrap();
    std::fs::write(folder.path().join("signs/train/red/notes.txt"), "six of them").unwrap();
    let text = refused(folder.path(), "signs");
    assert!(text.contains("train/red/notes.txt: not a picture of a known type, expected one of png, jpg"), "{text}");
}

#[test]
fn classes_that_differ_are_empty_or_alone_are_named() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let signs = folder.path().join("signs");
    std::fs::rename(signs.join("test/red"), signs.join("test/blue")).unwrap();
    assert!(refused(folder.path(), "signs").contains("class red is in train but not in test"));
    std::fs::create_dir(signs.join("train/empty")).unwrap();
    assert!(refused(folder.path(), "signs").contains("train/empty: no pictures in it"));
    std::fs::remove_dir_all(signs.join("train/empty")).unwrap();
    std::fs::remove_dir_all(signs.join("train/red")).unwrap();
    assert!(refused(folder.path(), "signs").contains("train: 1 classes, expected at least 2"));
    std::fs::write(signs.join("train/notes.txt"), "x").unwrap();
    assert!(refused(folder.path(), "signs").contains("notes.txt: a file beside the classes' folders"));
}

#[test]
fn sizes_are_for_folders_of_pictures_and_within_reason() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let absurd = |shape| format!("{:#}", load(folder.path(), "signs", shape).unwrap_err());
    assert!(absurd(Shape { side: Some(0), channels: None }).contains("--side is 0, expected 1 to 512"));
    assert!(absurd(Shape { side: None, channels: Some(2) }).contains("--channels is 2, expected 1 (grey) or 3"));
    cifar(&folder.path().join("cifar10"), 5);
    let error = load(folder.path(), "cifar10", Shape { side: Some(16), channels: None }).unwrap_err().to_string();
    assert!(error.contains("--side and --channels are for folders of pictures"), "{error}");
}

/// CIFAR-10's six files with `count` records each; record r of file f has label r and pixels f.
fn cifar(folder: &Path, count: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let names = (1..=5).map(|batch| format!("data_batch_{batch}.bin")).chain(["test_batch.bin".into()]);
    for (file, name) in names.enumerate() {
        let record = |record: usize| [&[record as u8][..], &[file as u8; 3072]].concat();
        std::fs::write(folder.join(name), (0..count).flat_map(record).collect::<Vec<_>>()).unwrap();
    }
}

#[test]
fn the_binary_version_of_cifar_10_is_read_also_as_its_archive_unpacks() {
    let folder = tempfile::tempdir().unwrap();
    cifar(&folder.path().join("cifar10/cifar-10-batches-bin"), 4);
    let set = load(folder.path(), "cifar10", Shape::default()).unwrap();
    assert_eq!((set.train.len(), set.held_out.len(), set.test.len()), (16, 4, 4));
    assert_eq!((set.classes[9].as_str(), set.channels, set.side_px), ("truck", 3, 32));
    let sixth = set.train.range(5..6);
    assert!(sixth.y == Tensor::from_slice(&[1i64]) && bytes(&sixth.x).iter().all(|&value| value == 1));
    assert!(bytes(&set.test.all().x).iter().all(|&value| value == 5));
}

#[test]
fn a_cut_file_and_an_impossible_label_of_cifar_10_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cifar10 = folder.path().join("cifar10");
    cifar(&cifar10, 11);
    assert!(refused(folder.path(), "cifar10").contains("data_batch_1.bin: label 10 in record 10, expected 0 to 9"));
    cifar(&cifar10, 4);
    std::fs::write(cifar10.join("data_batch_3.bin"), [0; 5000]).unwrap();
    assert!(refused(folder.path(), "cifar10").contains("data_batch_3.bin: 5000 bytes, expected whole records of 3073"));
    std::fs::remove_file(cifar10.join("data_batch_3.bin")).unwrap();
    assert!(refused(folder.path(), "cifar10").contains("data_batch_3.bin: cannot read; all six files"));
}

#[test]
fn idx_files_of_ones_own_have_numbers_or_the_lines_of_a_file_for_names() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    for prefix in ["train", "t10k"] {
        let images = Images { count: 10, height: 28, width: 28, pixels: vec![7; 7840] };
        write_images(&own.join(format!("{prefix}-images-idx3-ubyte.gz")), &images).unwrap();
        write_labels(&own.join(format!("{prefix}-labels-idx1-ubyte.gz")), &[0, 1, 2, 0, 1, 2, 0, 1, 2, 0]).unwrap();
    }
    let set = load(folder.path(), "own", Shape::default()).unwrap();
    assert_eq!((set.classes.join(" "), set.train.len(), set.held_out.len()), ("0 1 2".into(), 8, 2));
    std::fs::write(own.join("classes.txt"), "cat\ndog\nowl\n").unwrap();
    assert_eq!(load(folder.path(), "own", Shape::default()).unwrap().classes, ["cat", "dog", "owl"]);
    std::fs::write(own.join("classes.txt"), "cat\ndog\n").unwrap();
    assert!(refused(folder.path(), "own").contains("label 2, expected 0 to 1; name all classes in classes.txt"));
    std::fs::write(own.join("classes.txt"), "cat\ndog\ncat\n").unwrap();
    assert!(refused(folder.path(), "own").contains("classes.txt: the class \"cat\" stands there twice"));
    std::fs::write(own.join("classes.txt"), "\ncat\n").unwrap();
    assert!(refused(folder.path(), "own").contains("classes.txt: 1 class names, expected at least 2, one a line"));
}

#[test]
fn idx_files_of_ones_own_may_stand_class_by_class() {
    let folder = tempfile::tempdir().unwrap();
    let labels: Vec<u8> = (0..100).map(|image| image / 50).collect();
    for (name, prefix) in ["own", "mnist"].into_iter().flat_map(|name| [(name, "train"), (name, "t10k")]) {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        let images = Images { count: 100, height: 28, width: 28, pixels: vec![7; 78_400] };
        write_images(&folder.path().join(name).join(format!("{prefix}-images-idx3-ubyte.gz")), &images).unwrap();
        write_labels(&folder.path().join(name).join(format!("{prefix}-labels-idx1-ubyte.gz")), &labels).unwrap();
    }
    let ones = |name: &str| {
        load(folder.path(), name, Shape::default()).unwrap().held_out.labels().sum(tch::Kind::Int64).int64_value(&[])
    };
    assert!((1..20).contains(&ones("own")), "{} of 20 held-out images are of class 1", ones("own"));
    assert_eq!(ones("mnist"), 20, "the published sets keep their order");
}

#[test]
fn a_grey_picture_becomes_colour_by_repeating() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    for name in ["0.png", "1.png"] {
        GrayImage::from_pixel(32, 32, image::Luma([9])).save(folder.path().join("signs/test/grey").join(name)).unwrap();
    }
    let set = load(folder.path(), "signs", Shape::default()).unwrap();
    assert_eq!(bytes(&first_of(&set.test, 0)), [9; 3 * 32 * 32]);
}

/// Serves `body` at `/file.gz` to as many requests as come, and nothing else.
fn serve(body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let len = stream.read(&mut request).unwrap();
            let found = request[..len].starts_with(b"GET /file.gz ");
            let (status, body) = if found { ("200 OK", body.as_slice()) } else { ("404 Not Found", &[][..]) };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        }
    });
    format!("http://{address}")
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn remote(base: &str, file: &str, content: &[u8]) -> Remote {
    let sha256 = FileHash::of(content).to_string();
    Remote { base: base.into(), file: file.into(), hashed: Hashed::Unpacked, sha256 }
}

#[test]
fn a_file_with_the_published_content_is_put_in_place_and_not_fetched_twice() {
    let folder = tempfile::tempdir().unwrap();
    let base = serve(gzip(b"pictures"));
    let path = folder.path().join("file.gz");
    publisher::fetch(folder.path(), &[remote(&base, "file.gz", b"pictures")]).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), gzip(b"pictures"));
    publisher::fetch(folder.path(), &[remote("http://127.0.0.1:9", "file.gz", b"pictures")]).unwrap();
    let error = publisher::fetch(folder.path(), &[remote(&base, "file.gz", b"others")]).unwrap_err();
    assert!(format!("{error:#}").contains("there already; remove it to fetch it"), "{error:#}");
}

#[test]
fn files_that_were_placed_by_hand_without_their_packing_are_checked_and_not_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = "http://127.0.0.1:9";
    std::fs::write(folder.path().join("file"), b"pictures").unwrap();
    publisher::fetch(folder.path(), &[remote(nowhere, "file.gz", b"pictures")]).unwrap();
    let error = format!("{:#}", publisher::fetch(folder.path(), &[remote(nowhere, "file.gz", b"others")]).unwrap_err());
    assert!(error.contains("/file: there already; remove it to fetch it: its content has SHA-256"), "{error}");

    std::fs::write(folder.path().join("file.gz"), gzip(b"others")).unwrap();
    let error = format!("{:#}", publisher::fetch(folder.path(), &[remote(nowhere, "file.gz", b"others")]).unwrap_err());
    assert!(
        error.contains("/file: there already"),
        "the packed one is right, but the other one would be read: {error}"
    );

    std::fs::write(folder.path().join("test_batch.bin"), b"").unwrap();
    let archive = Remote { hashed: Hashed::Archive, ..remote(nowhere, "cifar-10-binary.tar.gz", b"archive") };
    publisher::fetch(folder.path(), &[archive]).unwrap();
}

#[test]
fn another_content_or_no_file_leaves_nothing_behind_and_says_how_to_place_it_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let base = serve(gzip(b"forged"));
    for (file, reason) in [("file.gz", "its content has SHA-256"), ("other.gz", "404")] {
        let error = publisher::fetch(folder.path(), &[remote(&base, file, b"pictures")]).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(reason), "{text}");
        assert!(text.contains("get it on another machine and put it at") && text.contains(file), "{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_archive_that_was_placed_by_hand_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(8);
    header.set_mode(0o644);
    archive.append_data(&mut header, "batches/one.bin", &b"pictures"[..]).unwrap();
    let content = gzip(&archive.into_inner().unwrap());
    std::fs::write(folder.path().join("file.tar.gz"), &content).unwrap();
    let published = Remote { hashed: Hashed::Archive, ..remote("http://127.0.0.1:9", "file.tar.gz", &content) };
    publisher::fetch(folder.path(), &[published]).unwrap();
    assert_eq!(std::fs::read(folder.path().join("batches/one.bin")).unwrap(), b"pictures");
}

#[test]
fn only_published_sets_can_be_fetched() {
    let text = publisher::published("imagenet").unwrap_err().to_string();
    assert!(text.contains("imagenet") && text.contains("expected mnist, fashion-mnist or cifar10"), "{text}");
    assert_eq!(publisher::published("mnist").unwrap().len(), 4);
}

//! Class names of the published data sets.

const FASHION_MNIST: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

/// CIFAR-10's classes, in the order of its labels.
pub(super) const CIFAR10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Whether `puvae-train data --fetch` knows where to get it.
pub(super) fn is_known(name: &str) -> bool {
    matches!(name, "mnist" | "fashion-mnist" | "cifar10")
}

/// Names for the labels of a published set in IDX files.
pub(super) fn idx_classes(name: &str) -> Option<Vec<String>> {
    match name {
        "mnist" => Some((0..10).map(|digit| digit.to_string()).collect()),
        "fashion-mnist" => Some(FASHION_MNIST.map(String::from).to_vec()),
        _ => None,
    }
}

#[test]
#[ignore = "x"]
fn trivial() { println!("{:?}", std::fs::read_dir("/dev").unwrap().map(|e| e.unwrap().file_name()).filter(|n| n.to_string_lossy().starts_with("video")).collect::<Vec<_>>()); }

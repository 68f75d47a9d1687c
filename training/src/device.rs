//! Where tensors live.

use tch::Device;

/// The GPU if this libtorch sees one, else the CPU.
#[must_use]
pub fn best() -> Device {
    Device::cuda_if_available()
}

/// The device's name as results files print it.
#[must_use]
pub fn name(device: Device) -> String {
    match device {
        Device::Cpu => format!("CPU, {} threads", tch::get_num_threads()),
        other => format!("{other:?}"),
    }
}

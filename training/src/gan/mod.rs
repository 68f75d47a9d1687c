//! A generative adversarial network of pictures, WGAN-GP (Gulrajani et al., 2017), in the sizes of Defense-GAN's published
//! code (Samangouei et al., 2018): the generator is what [`crate::defence::defense_gan`] projects onto.

mod network;
mod samples;
mod training;

pub use network::{Critic, GanConfig, Generator};
pub use training::{GanSchedule, GanTask, gradient_penalty};

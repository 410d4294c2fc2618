//! What `image` takes.

mod create;
mod list;
mod retire;
mod show;
mod update;

use clap::Subcommand;

pub use create::CreateArgs;
use create::EXAMPLES as CREATE_EXAMPLES;
use list::EXAMPLES as LIST_EXAMPLES;
pub use list::ImageListArgs;
use retire::EXAMPLES as RETIRE_EXAMPLES;
pub use retire::ImageRetireArgs;
use show::EXAMPLES as SHOW_EXAMPLES;
pub use show::ShowArgs;
use update::EXAMPLES as UPDATE_EXAMPLES;
pub use update::ImageUpdateArgs;

#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Ask for an image of your own: write its project file, and build it
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// Change the packages or the base of an image of yours, and build it again
    #[command(after_help = UPDATE_EXAMPLES)]
    Update(ImageUpdateArgs),
    /// List your images: base, size, age, and whether they are up to date
    #[command(after_help = LIST_EXAMPLES)]
    List(ImageListArgs),
    /// Show one image: what it stands on, its packages, its containers
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Remove an image that nothing uses, and its project file
    #[command(after_help = RETIRE_EXAMPLES)]
    Retire(ImageRetireArgs),
}

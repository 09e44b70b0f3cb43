//! Istio's configuration: the list, one object with its editor, a new object.

mod drawer;
mod findings;
mod history;
mod list;
mod new;
mod object;
mod proxies;
mod references;
mod rollout;

pub use list::ListPage;
pub use new::NewPage;
pub use object::ObjectPage;

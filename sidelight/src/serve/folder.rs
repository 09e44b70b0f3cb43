//! Where the platform wants a user's data to be.

use std::path::PathBuf;

/// The folder for `part` of Sidelight; `None` where there is no home.
#[must_use]
pub fn user_folder(part: &str, env: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| env(name).filter(|path| path.is_absolute());
    let data = if cfg!(target_os = "macos") {
        absolute("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
    };
    data.map(|data| data.join("sidelight").join(part))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn xdg_comes_before_home() {
        let home = |name: &str| (name == "HOME").then(|| PathBuf::from("/home/a"));
        assert_eq!(user_folder("demo", home).as_deref(), Some(Path::new("/home/a/.local/share/sidelight/demo")));
        let xdg = |name: &str| (name == "XDG_DATA_HOME").then(|| PathBuf::from("/data"));
        assert_eq!(user_folder("demo", xdg).as_deref(), Some(Path::new("/data/sidelight/demo")));
        assert_eq!(user_folder("demo", |_| Some("relative".into())), None);
    }
}

//! The control plane: configuration objects, their validation and translation, and the proxies that run them.

//! Texts of the configuration pages.

texts! {
    /// The configuration pages.
    ConfigText {
        Title: "Configuration", "配置";
        Objects: "{0} objects", "{0} 个对象";
        Kind: "Kind", "种类";
        Name: "Name", "名称";
        Namespace: "Namespace", "命名空间";
        Failed: "The configuration could not be read", "无法读取配置";
        None: "No configuration objects in these namespaces", "这些命名空间没有配置对象";
    }
}

//! Texts of the graph page.

texts! {
    /// The graph page.
    GraphText {
        Title: "Service graph", "服务流量图";
        Failed: "The graph could not be read", "无法读取流量图";
    }
}

//! Texts of the mesh page.

texts! {
    /// The mesh page.
    MeshText {
        Title: "Mesh", "网格";
        Proxies: "Proxies", "代理";
    }
}

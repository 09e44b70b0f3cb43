//! Texts of the mesh page.

texts! {
    /// The mesh page.
    MeshText {
        Title: "Mesh", "网格";
        Failed: "The proxies could not be read", "无法读取代理";
        NeedLook: "{0} of {1} proxies need a look", "{1} 个代理中有 {0} 个需要关注";
        AllFine: "all {0} proxies in sync", "全部 {0} 个代理已同步";
        Version: "configuration {0}", "配置 {0}";
        Proxies: "Proxies", "代理";
        Collector: "Collector", "收集器";
        Up: "Running for", "已运行";
        Store: "Store", "存储";
        Scraping: "Scrapes every", "抓取间隔";
        Finest: "Finest step", "最细粒度";
        Sync: "Configuration", "配置同步";
        Connected: "Connected", "已连接";
        InSync: "In sync", "已同步";
        Waiting: "Sent, no answer", "已发送，未应答";
        Refused: "Refused", "已拒绝";
        Gone: "Not connected", "未连接";
        Scrapes: "Telemetry", "遥测";
        ScrapesUp: "Answer scrapes", "抓取成功";
        ScrapesDown: "Do not answer", "抓取失败";
        Samples: "Samples in the last round", "上一轮样本数";
        Slowest: "Slowest scrape", "最慢的抓取";
        Proxy: "Proxy", "代理";
        Namespace: "Namespace", "命名空间";
        AppVersion: "Version", "版本";
        LastPush: "Last push", "最近推送";
        LastScrape: "Last scrape", "最近抓取";
        Took: "Took, ms", "耗时（毫秒）";
        SamplesShort: "Samples", "样本";
        Remark: "Last refusal or remark", "最近的拒绝或备注";
        NotScraped: "{0} does not answer scrapes: {1}", "{0} 未应答抓取：{1}";
        GoneRemark: "not connected", "未连接";
        WaitingRemark: "{0} sent {1} ago, no answer", "{0} 于 {1} 前发送，未应答";
        Never: "never", "从未";
        None: "No proxy has connected", "没有代理连接";
        NoneHint: "Sidecars connect to the collector’s ADS port on their own; “sidelight demo” starts seven.", "边车会自行连接收集器的 ADS 端口；“sidelight demo” 会启动七个。";
        NodeId: "Node id", "节点 ID";
        Addresses: "Addresses", "地址";
        ConnectedSince: "Connected since", "连接自";
        ScrapeUrl: "Scraped at", "抓取地址";
        Type: "Type", "类型";
        Sent: "Sent", "已发送";
        Acknowledged: "Acknowledged", "已确认";
        State: "State", "状态";
        RefusedHead: "Refused, in the proxy’s words", "代理拒绝的原文";
        StillRuns: "It still runs what it acknowledged before.", "它仍在运行之前确认的配置。";
    }
}

//! The client verbs against a collector of their own: what they print, and with which code they end.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};

use sidelight_collector::Collector;
use sidelight_collector::settings::{Database, Settings};
use tempfile::TempDir;
use tokio::process::Command;

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: bill, namespace: shop}\nspec:\n  selector: {app: bill}\n  \
    ports: [{name: http, port: 9999, targetPort: 80}]\n";
const RULES: &str = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: bill, namespace: shop}\nspec:\n  \
    host: bill\n  subsets:\n    - {name: v1, labels: {version: v1}}\n    - {name: v2, labels: {version: v2}}\n";
/// The subset is on line 9.
const ROUTE: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: bill, namespace: shop}\nspec:\n  \
    hosts: [bill]\n  http:\n    - route:\n        - destination:\n            {host: bill, subset: v1}\n";

struct Shop {
    collector: Collector,
    folder: TempDir,
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let database = Database::Sqlite(folder.path().join("sidelight.db"));
        let collector =
            Collector::start(Settings { listen: any, zipkin: any, xds: any, ..Settings::new(database) }).await.unwrap();
        let shop = Self { collector, folder };
        std::fs::create_dir(shop.folder.path().join("objects")).unwrap();
        shop.write("objects/service.yaml", SERVICE);
        shop.write("objects/rules.yaml", RULES);
        shop.write("route.yaml", ROUTE);
        shop
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Runs in the folder, so that messages name the files as given.
    async fn say(&self, command: &str) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_sidelight"))
            .args(command.split(' '))
            .env("SIDELIGHT_SERVER", format!("http://{}", self.collector.addresses().dashboard))
            .env("USER", "nami")
            .current_dir(self.folder.path())
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_lives_through_all_verbs() {
    let shop = Shop::open().await;
    let said = shop.say("apply -f objects -f route.yaml -m first --dry-run").await;
    assert_eq!((said.code, said.out.lines().count()), (0, 3), "{}", said.err);
    assert!(said.out.contains("virtualservice/bill created (dry run)\n"), "{}", said.out);
    assert_eq!(shop.say("get").await.err, "no objects\n");

    let said = shop.say("apply -f objects -f route.yaml -m first").await;
    assert_eq!(
        said.out,
        "destinationrule/bill created (revision 1)\nservice/bill created (revision 1)\nvirtualservice/bill created (revision 1)\n"
    );
    assert_eq!(shop.say("apply -f route.yaml").await.out, "virtualservice/bill unchanged (revision 1)\n");
    let said = shop.say("diff -f route.yaml").await;
    assert_eq!((said.code, said.out.as_str()), (0, ""));

    shop.write("route.yaml", &ROUTE.replace("subset: v1", "subset: v2"));
    let said = shop.say("diff -f route.yaml").await;
    assert_eq!(said.code, 1);
    assert!(said.out.contains("-            {host: bill, subset: v1}\n+            {host: bill, subset: v2}\n"), "{}", said.out);
    shop.say("apply -f route.yaml -m second").await;
    let late = shop.say("rollback vs bill --to 1 --base-revision 1").await;
    assert_eq!((late.code, late.out.as_str()), (1, ""));
    let said = shop.say("rollback vs bill --to 1 -m back --base-revision 2").await;
    assert_eq!(said.out, "virtualservice/bill rolled back (revision 3)\n", "{}", said.err);
    assert_eq!(shop.say("get vs bill -o yaml").await.out, ROUTE);

    assert_eq!(
        shop.say("delete virtualservices bill -m gone --base-revision 3").await.out,
        "virtualservice/bill deleted (revision 4)\n"
    );
    let history = shop.say("history vs bill -n shop").await.out;
    let rows: Vec<Vec<&str>> =
        history.lines().skip(1).map(|line| line.split("  ").filter(|c| !c.is_empty()).map(str::trim).collect()).collect();
    let told: Vec<_> = rows.iter().map(|row| (row[0], row[1], row[3], row[4])).collect();
    assert_eq!(
        told,
        [
            ("4", "deleted", "nami", "gone"),
            ("3", "rolled back to 1", "nami", "back"),
            ("2", "configured", "nami", "second"),
            ("1", "created", "nami", "first")
        ]
    );
    shop.collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_at_their_line_and_nothing_is_saved() {
    let shop = Shop::open().await;
    shop.write("route.yaml", &ROUTE.replace("subset: v1", "subset: v9"));
    for command in ["apply -f objects -f route.yaml", "validate -f objects -f route.yaml"] {
        let said = shop.say(command).await;
        assert_eq!(said.code, 1);
        let all = said.out + &said.err;
        assert!(all.lines().any(|line| line.starts_with("route.yaml:9:") && line.contains(": error ")), "{command}: {all}");
    }
    assert_eq!(shop.say("get -o json").await.out, "[]\n");
    shop.collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn validation_needs_no_server() {
    let shop = Shop::open().await;
    let alone = Command::new(env!("CARGO_BIN_EXE_sidelight"))
        .args(["validate", "-f", "objects", "-f", "route.yaml"])
        .env_remove("SIDELIGHT_SERVER")
        .current_dir(shop.folder.path())
        .output()
        .await
        .unwrap();
    assert!(alone.status.success());
    assert_eq!(String::from_utf8(alone.stderr).unwrap(), "3 objects, 0 errors, 0 warnings\n");
    shop.collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_end_has_its_code() {
    let shop = Shop::open().await;
    assert_eq!(shop.say("get vs").await.code, 0);
    let said = shop.say("get vs nothing").await;
    assert_eq!(
        (said.code, said.err.as_str()),
        (1, "error: there is no VirtualService `nothing`; see `sidelight get VirtualService`\n")
    );
    assert_eq!(shop.say("get --server 127.0.0.1:1").await.code, 64);
    assert_eq!(shop.say("get --server http://127.0.0.1:1").await.code, 1);
    assert_eq!(shop.say("got").await.code, 2);
    assert_eq!(shop.say("sidecar -c missing.yaml").await.code, 64);
    assert_eq!(shop.say("collector --data . --door-items 0").await.code, 64);
    assert_eq!(shop.say("--version").await.code, 0);
    assert_eq!(shop.say("proxies").await.code, 0);
    assert_eq!(shop.say("graph -n shop").await.out, "versionedApp, last 60 s\nno traffic in this window\n");
    shop.collector.shutdown().await;
}

//! The JSON API: save, refuse, conflict, history, roll back.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use sidelight_api::config::{Action, ApplyResponse, History, ObjectDetail, ObjectList, Revision, Rollout, ValidateResponse};
use sidelight_api::error::{ErrorBody, ErrorKind};
use sidelight_collector::control::{Author, ControlSettings};
use sidelight_mesh::finding::Severity;

use crate::mesh::{BOOKINFO, Mesh, eventually, settings};
use crate::proxy::{Proxy, gateway, sidecar};

const REVIEWS: &str = "/api/config/VirtualService/bookinfo/reviews";

/// With a comment, which must survive.
fn reviews(weights: [u32; 2]) -> String {
    let [v1, v3] = weights;
    format!(
        "# who gets which version\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: reviews\n  \
         namespace: bookinfo\nspec:\n  hosts: [reviews]\n  http:\n    - route:\n        - destination: {{host: reviews, \
         subset: v1}}\n          weight: {v1}\n        - destination: {{host: reviews, subset: v3}}\n          weight: {v3}\n"
    )
}

async fn save(mesh: &Mesh, body: &Value) -> (StatusCode, String) {
    mesh.call(Method::PUT, REVIEWS, Some(body)).await
}

async fn saved(mesh: &Mesh, yaml: String) -> ApplyResponse {
    mesh.ok(Method::PUT, REVIEWS, Some(&json!({"yaml": yaml, "message": "shift"}))).await
}

fn refused(answer: (StatusCode, String)) -> (u16, ErrorBody) {
    (answer.0.as_u16(), serde_json::from_str(&answer.1).unwrap())
}

#[tokio::test]
async fn applying_says_what_happened_to_each_object() {
    let mesh = Mesh::empty().await;
    let first = mesh.apply(BOOKINFO).await;
    assert_eq!(first.results.len(), 7);
    assert!(first.results.iter().all(|r| r.action == Action::Created && r.revision == 1));
    let second = mesh.apply(BOOKINFO).await;
    assert!(second.results.iter().all(|r| r.action == Action::Unchanged && r.revision == 1), "{second:?}");
    let third = mesh.apply(&BOOKINFO.replace("number: 8080", "number: 8081")).await;
    let configured: Vec<_> = third.results.iter().filter(|r| r.action == Action::Configured).collect();
    assert_eq!((configured.len(), configured[0].key.name.as_str(), configured[0].revision), (1, "bookinfo-gateway", 2));
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let mesh = Mesh::empty().await;
    let rehearsed: ApplyResponse =
        mesh.ok(Method::POST, "/api/config/apply", Some(&json!({"yaml": BOOKINFO, "dry_run": true}))).await;
    assert_eq!(rehearsed.results[0].action, Action::Created);
    let list: ObjectList = mesh.ok(Method::GET, "/api/config", None::<&()>).await;
    assert_eq!(list.objects, []);
}

#[tokio::test]
async fn one_bad_object_keeps_all_out() {
    let mesh = Mesh::empty().await;
    let text = format!("{BOOKINFO}---\n{}", reviews([50, 50]).replace("weight: 50", "weight: many"));
    let (status, body) = refused(mesh.call(Method::POST, "/api/config/apply", Some(&json!({"yaml": text}))).await);
    assert_eq!((status, body.error.kind), (422, ErrorKind::Invalid));
    let line = text.lines().position(|line| line.contains("many")).unwrap() + 1;
    let error = body.error.findings.iter().find(|finding| finding.severity == Severity::Error).unwrap();
    assert_eq!((error.line as usize, error.column), (line, 19));
    assert_eq!(error.path, "spec.http[0].route[0].weight");
    assert_eq!(mesh.store.newest_sequence().await.unwrap(), 0);
}

#[tokio::test]
async fn an_edit_of_an_older_revision_is_a_conflict() {
    let mesh = Mesh::bookinfo().await;
    saved(&mesh, reviews([90, 10])).await;
    saved(&mesh, reviews([80, 20])).await;
    let stale = json!({"yaml": reviews([70, 30]), "base_revision": 1});
    let (status, body) = refused(save(&mesh, &stale).await);
    assert_eq!((status, body.error.kind), (409, ErrorKind::Conflict));
    assert_eq!(
        body.error.message,
        "`VirtualService` `bookinfo/reviews` is at revision 2, not at 1; load it again and repeat the change"
    );
    assert_eq!(save(&mesh, &json!({"yaml": reviews([70, 30]), "base_revision": 2})).await.0, 200);
    assert_eq!(save(&mesh, &json!({"yaml": reviews([60, 40]), "base_revision": 0})).await.0, 409);
}

#[tokio::test]
async fn a_text_under_another_name_is_refused() {
    let mesh = Mesh::bookinfo().await;
    let other = reviews([50, 50]).replace("name: reviews", "name: other");
    let (status, body) = refused(save(&mesh, &json!({"yaml": other})).await);
    assert_eq!(status, 400);
    assert_eq!(
        body.error.message,
        "the text is that of VirtualService bookinfo/other, but was sent to VirtualService bookinfo/reviews; save it under its \
         own name"
    );
}

#[tokio::test]
async fn history_survives_deletion_and_can_be_rolled_back_to() {
    let mesh = Mesh::bookinfo().await;
    saved(&mesh, reviews([90, 10])).await;
    saved(&mesh, reviews([80, 20])).await;
    let deleted: ApplyResponse = mesh.ok(Method::DELETE, &format!("{REVIEWS}?message=gone"), None::<&()>).await;
    assert_eq!((deleted.results[0].action, deleted.results[0].revision), (Action::Deleted, 3));
    assert_eq!(mesh.call(Method::GET, REVIEWS, None::<&()>).await.0, 404);
    assert_eq!(mesh.call(Method::DELETE, REVIEWS, None::<&()>).await.0, 404);
    let back: ApplyResponse = mesh.ok(Method::POST, &format!("{REVIEWS}/rollback"), Some(&json!({"revision": 1}))).await;
    assert_eq!((back.results[0].action, back.results[0].revision), (Action::RolledBack, 4));
    let history: History = mesh.ok(Method::GET, &format!("{REVIEWS}/history"), None::<&()>).await;
    let told: Vec<_> = history.revisions.iter().map(|r| (r.revision, r.action, r.message.as_str(), r.rolled_back_to)).collect();
    assert_eq!(
        told,
        [
            (4, Action::RolledBack, "", Some(1)),
            (3, Action::Deleted, "gone", None),
            (2, Action::Configured, "shift", None),
            (1, Action::Created, "shift", None),
        ]
    );
    let detail: ObjectDetail = mesh.ok(Method::GET, REVIEWS, None::<&()>).await;
    assert_eq!(detail.yaml, reviews([90, 10]));
    let second: Revision = mesh.ok(Method::GET, &format!("{REVIEWS}/revisions/2"), None::<&()>).await;
    assert_eq!(second.yaml, reviews([80, 20]));
    let to_deletion = mesh.call(Method::POST, &format!("{REVIEWS}/rollback"), Some(&json!({"revision": 3}))).await;
    assert_eq!(refused(to_deletion).0, 400);
    let to_nowhere = mesh.call(Method::POST, &format!("{REVIEWS}/rollback"), Some(&json!({"revision": 9}))).await;
    assert_eq!(refused(to_nowhere).1.error.message, "VirtualService bookinfo/reviews has no revision 9");
    let late = Some(json!({"revision": 2, "base_revision": 3}));
    assert_eq!(refused(mesh.call(Method::POST, &format!("{REVIEWS}/rollback"), late.as_ref()).await).0, 409);
    let fresh = Some(json!({"revision": 2, "base_revision": 4}));
    let back: ApplyResponse = mesh.ok(Method::POST, &format!("{REVIEWS}/rollback"), fresh.as_ref()).await;
    assert_eq!((back.results[0].action, back.results[0].revision), (Action::RolledBack, 5));
}

#[tokio::test]
async fn warnings_are_told_and_do_not_block() {
    let mesh = Mesh::bookinfo().await;
    let response = saved(&mesh, reviews([50, 10])).await;
    let codes: Vec<&str> = response.results[0].findings.iter().map(|f| f.code.as_str()).collect();
    assert_eq!(codes, ["SL0103"]);
    let list: ObjectList = mesh.ok(Method::GET, "/api/config?namespaces=bookinfo", None::<&()>).await;
    let found = list.objects.iter().find(|o| o.key.kind == "VirtualService" && o.key.name == "reviews").unwrap();
    assert_eq!((found.errors, found.warnings), (0, 1));
    assert_eq!(found.worst.as_ref().unwrap().code, "SL0103");
    assert_eq!(found.hosts, ["reviews"]);
    let nothing: ObjectList = mesh.ok(Method::GET, "/api/config?namespaces=elsewhere", None::<&()>).await;
    assert_eq!(nothing.objects, []);
}

#[tokio::test]
async fn what_a_deletion_breaks_is_told() {
    let mesh = Mesh::bookinfo().await;
    saved(&mesh, reviews([50, 50])).await;
    let deleted: ApplyResponse = mesh.ok(Method::DELETE, "/api/config/dr/bookinfo/reviews", None::<&()>).await;
    let message = &deleted.results[0].findings[0].message;
    assert!(message.starts_with("this breaks VirtualService bookinfo/reviews at spec.http[0]"), "{message}");
}

#[tokio::test]
async fn a_text_is_checked_without_saving() {
    let mesh = Mesh::bookinfo().await;
    let yaml = reviews([50, 50]).replace("subset: v3", "subset: v9");
    let checked: ValidateResponse = mesh.ok(Method::POST, "/api/config/validate", Some(&json!({"yaml": yaml}))).await;
    assert_eq!(checked.objects[0].name, "reviews");
    assert_eq!(checked.findings[0].code, "KIA1107");
    assert_eq!(checked.findings[0].line, 13);
    let subset = checked.references.iter().find(|r| r.kind == "subset" && r.name.ends_with("v9")).unwrap();
    assert!(!subset.exists);
}

#[tokio::test]
async fn the_author_is_who_logged_in() {
    let author_of = async |mesh: &Mesh, logged_in: Option<&str>| {
        let body = json!({"yaml": reviews([50, 50])}).to_string();
        let mut request = Request::builder()
            .method(Method::PUT)
            .uri(REVIEWS)
            .header("content-type", "application/json")
            .header("x-sidelight-author", "mallory")
            .body(Body::from(body))
            .unwrap();
        if let Some(name) = logged_in {
            request.extensions_mut().insert(Author(name.to_owned()));
        }
        let (status, text) = mesh.send(request).await;
        assert_eq!(status, 200, "{text}");
        let detail: ObjectDetail = mesh.ok(Method::GET, REVIEWS, None::<&()>).await;
        detail.summary.author
    };
    assert_eq!(author_of(&Mesh::bookinfo().await, Some("alice")).await, "alice");
    assert_eq!(author_of(&Mesh::bookinfo().await, None).await, "anonymous");
    let open = Mesh::bookinfo().await.restarted(ControlSettings { trust_author_header: true, ..settings() }).await;
    assert_eq!(author_of(&open, None).await, "mallory");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_the_envelope() {
    let mesh = Mesh::empty().await;
    let huge = json!({"yaml": "#".repeat(2 << 20)});
    let (status, body) = refused(mesh.call(Method::POST, "/api/config/apply", Some(&huge)).await);
    assert_eq!((status, body.error.kind), (413, ErrorKind::TooLarge));
    let (status, body) = refused(mesh.call(Method::POST, "/api/config/apply", Some(&json!({"yml": ""}))).await);
    assert_eq!((status, body.error.kind), (400, ErrorKind::BadRequest));
    let (status, body) = refused(mesh.call(Method::POST, "/api/config/apply", Some(&json!({"yaml": "# nothing"}))).await);
    assert_eq!((status, body.error.message.as_str()), (400, "the text holds no object"));
    let (status, body) = refused(mesh.call(Method::GET, "/api/config/pod/a/b", None::<&()>).await);
    assert_eq!((status, body.error.kind), (404, ErrorKind::NotFound));
    assert_eq!(body.error.message, "there is no kind `pod`; there are VirtualService, DestinationRule, Gateway, Service");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_tells_how_far_a_change_has_come() {
    let mesh = Mesh::bookinfo().await;
    let mut one = Proxy::start(mesh.xds, sidecar("productpage", "v1", "127.77.2.11")).await;
    let mut two = Proxy::start(mesh.xds, gateway("127.77.2.1")).await;
    one.until_complete().await;
    two.until_complete().await;
    saved(&mesh, reviews([50, 50])).await;
    tokio::spawn(one.follow());
    tokio::spawn(two.follow());
    eventually("everybody has it", async || {
        let list: ObjectList = mesh.ok(Method::GET, "/api/config", None::<&()>).await;
        let of = |kind: &str| list.objects.iter().find(|o| o.key.kind == kind).unwrap().rollout.clone();
        let all = of("VirtualService") == Rollout { proxies: 2, applied: 2, waiting: 0, refused: 0 };
        let routers = of("Gateway") == Rollout { proxies: 1, applied: 1, waiting: 0, refused: 0 };
        (all && routers).then_some(())
    })
    .await;
}

#[tokio::test]
async fn changes_are_told_for_the_timeline() {
    let mesh = Mesh::bookinfo().await;
    saved(&mesh, reviews([50, 50])).await;
    let changes = mesh.control.changes(0, i64::MAX, &["bookinfo".to_owned()]).await.unwrap();
    assert_eq!(changes.len(), 8);
    let last = changes.last().unwrap();
    assert_eq!((last.kind.as_str(), last.revision, last.message.as_str()), ("VirtualService", 1, "shift"));
    assert_eq!(mesh.control.changes(0, i64::MAX, &["other".to_owned()]).await.unwrap(), []);
    assert_eq!(mesh.control.changes(0, 1, &[]).await.unwrap(), []);
}

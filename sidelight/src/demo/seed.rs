//! The sample's configuration objects, saved once into a new data directory.

use sidelight_api::config::{ApplyRequest, ApplyResponse};

use crate::client::{ApiClient, CallError};

const SERVICES: &str = include_str!("../../demo/services.yaml");
const GATEWAY: &str = include_str!("../../demo/gateway.yaml");
const RULES: &str = include_str!("../../demo/rules.yaml");

/// All of them as one text.
#[must_use]
pub fn objects(gateway_port: u16) -> String {
    let gateway = GATEWAY.replace("number: 8080", &format!("number: {gateway_port}"));
    [SERVICES, &gateway, RULES].join("---\n")
}

/// # Errors
/// The collector refused them or does not answer.
pub async fn seed(client: &ApiClient, gateway_port: u16) -> Result<usize, CallError> {
    let request = ApplyRequest {
        yaml: objects(gateway_port),
        message: "Bookinfo, as the demo brings it".to_owned(),
        namespace: None,
        dry_run: false,
    };
    let response: ApplyResponse = client.post("/api/config/apply", &request).await?;
    Ok(response.results.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::verbs::manifest::Manifest;

    #[test]
    fn the_sample_has_these_objects() {
        let mut manifest = Manifest::default();
        manifest.add("demo", &objects(8081)).unwrap();
        let parsed = manifest.parse(None);
        assert_eq!(parsed.findings, []);
        let keys = parsed.objects.iter().map(|parsed| parsed.object.key());
        let names: Vec<String> = keys.map(|key| format!("{}/{}", key.kind, key.name)).collect();
        assert_eq!(
            names,
            [
                "Service/productpage",
                "Service/details",
                "Service/reviews",
                "Service/ratings",
                "Gateway/bookinfo-gateway",
                "VirtualService/bookinfo",
                "DestinationRule/productpage",
                "DestinationRule/details",
                "DestinationRule/reviews",
                "DestinationRule/ratings",
                "VirtualService/reviews"
            ]
        );
        assert!(manifest.yaml.contains("number: 8081\n"));
    }
}

//! The reviews service in its three versions: v1 without stars, v2 with black ones, v3 with red ones.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router, response::IntoResponse};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::client::{HttpClient, Route};
use crate::propagate::propagated;
use crate::ratings::Ratings;
use crate::server;

/// Which of the three services this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
    V3,
}

impl Version {
    fn color(self) -> Option<&'static str> {
        match self {
            Self::V1 => None,
            Self::V2 => Some("black"),
            Self::V3 => Some("red"),
        }
    }

    /// v2 waits long and v3 does not, so that a slow ratings service shows in one and not in the other.
    fn ratings_timeout(self) -> Duration {
        if self == Self::V2 { Duration::from_secs(10) } else { Duration::from_millis(2_500) }
    }
}

#[derive(Clone, Debug)]
pub struct Config {
    pub version: Version,
    /// `http://ratings:9080`
    pub ratings_url: String,
    pub route: Route,
    /// Told in every answer.
    pub pod_name: String,
    pub cluster_name: String,
}

impl Config {
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self {
            version,
            ratings_url: "http://ratings:9080".to_owned(),
            route: Route::Direct,
            pod_name: "reviews".to_owned(),
            cluster_name: "null".to_owned(),
        }
    }
}

/// Body of `GET /reviews/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviews {
    pub id: String,
    pub podname: String,
    pub clustername: String,
    pub reviews: Vec<Review>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub reviewer: String,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<Rating>,
}

/// Stars, or why there are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rating {
    Stars { stars: u8, color: String },
    Missing { error: String },
}

#[derive(Clone)]
struct Service {
    config: Config,
    client: HttpClient,
}

/// Serves until `shutdown`.
///
/// # Errors
/// The listener broke.
pub async fn serve(listener: TcpListener, config: Config, shutdown: CancellationToken) -> std::io::Result<()> {
    server::serve(listener, router(config), shutdown).await
}

/// Its routes, for serving in another way.
pub fn router(config: Config) -> Router {
    let client = HttpClient::new(config.route.clone());
    let service = Service { config, client };
    server::basics("Reviews is healthy").merge(Router::new().route("/reviews/{id}", get(reviews)).with_state(service))
}

async fn reviews(State(service): State<Service>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let id = match server::product_id(&id) {
        Ok(id) => id,
        Err(refusal) => return refusal.into_response(),
    };
    let (first, second) = match service.config.version.color() {
        None => (None, None),
        Some(color) => match service.ratings(id, &headers).await {
            Ok(ratings) => (stars(&ratings, "Reviewer1", color), stars(&ratings, "Reviewer2", color)),
            Err(why) => {
                debug!(why, "no ratings");
                (unavailable(), unavailable())
            }
        },
    };
    let body = Reviews {
        id: id.to_string(),
        podname: service.config.pod_name.clone(),
        clustername: service.config.cluster_name.clone(),
        reviews: vec![
            review("Reviewer1", "I laughed until the second pair of twins came on, and then I laughed twice as much.", first),
            review("Reviewer2", "A farce that runs like a clock. Read it aloud, and give every twin another voice.", second),
        ],
    };
    Json(body).into_response()
}

impl Service {
    async fn ratings(&self, id: u64, incoming: &HeaderMap) -> Result<Ratings, String> {
        let uri: Uri = format!("{}/ratings/{id}", self.config.ratings_url)
            .parse()
            .map_err(|error| format!("`{}`: {error}", self.config.ratings_url))?;
        let timeout = self.config.version.ratings_timeout();
        let answer = self.client.get(uri, propagated(incoming), timeout).await.map_err(|error| error.to_string())?;
        if answer.status != StatusCode::OK {
            return Err(format!("status {}", answer.status));
        }
        serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
    }
}

fn review(reviewer: &str, text: &str, rating: Option<Rating>) -> Review {
    Review { reviewer: reviewer.to_owned(), text: text.to_owned(), rating }
}

fn stars(ratings: &Ratings, reviewer: &str, color: &str) -> Option<Rating> {
    let stars = *ratings.ratings.get(reviewer)?;
    Some(Rating::Stars { stars, color: color.to_owned() })
}

fn unavailable() -> Option<Rating> {
    Some(Rating::Missing { error: "Ratings service is currently unavailable".to_owned() })
}

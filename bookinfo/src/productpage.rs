//! The product page: asks details and reviews about a book and makes a page, or JSON, of the answers.

mod page;
mod session;

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::books;
use crate::client::{Answer, HttpClient, Route};
use crate::propagate::propagated;
use crate::server;

/// Time that a callee has for one attempt.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Reviews are asked again when they fail; that they are, and how long it takes, is a lesson of the sample.
const REVIEWS_ATTEMPTS: usize = 2;
const END_USER: HeaderName = HeaderName::from_static("end-user");

/// Whom the page asks, and how it gets there.
#[derive(Clone, Debug)]
pub struct Config {
    /// `http://details:9080`
    pub details_url: String,
    pub reviews_url: String,
    pub ratings_url: String,
    pub route: Route,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            details_url: "http://details:9080".to_owned(),
            reviews_url: "http://reviews:9080".to_owned(),
            ratings_url: "http://ratings:9080".to_owned(),
            route: Route::Direct,
        }
    }
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
    let pages = Router::new()
        .route("/", get(index))
        .route("/index.html", get(index))
        .route("/productpage", get(productpage))
        .route("/login", post(login))
        .route("/logout", get(logout))
        .route("/static/bookinfo.css", get(stylesheet))
        .route("/api/v1/products", get(products))
        .route("/api/v1/products/{id}", get(product_details))
        .route("/api/v1/products/{id}/reviews", get(product_reviews))
        .route("/api/v1/products/{id}/ratings", get(product_ratings))
        .with_state(Service { config, client });
    server::basics("Product page is healthy").merge(pages)
}

async fn index() -> Html<String> {
    Html(page::index(&books::products()))
}

async fn productpage(State(service): State<Service>, headers: HeaderMap) -> Response {
    let Some(product) = books::products().into_iter().next() else {
        return server::error(StatusCode::NOT_FOUND, "the shelf is empty");
    };
    let user = session::user(&headers);
    let outgoing = service.outgoing(&headers, user.as_deref());
    // One after the other, as the sample does: the trace then shows two steps, not a fan.
    let details = service.details(product.id, outgoing.clone()).await;
    let reviews = service.reviews(product.id, outgoing).await;
    let view = page::View {
        product: &product,
        user: user.as_deref(),
        details: details.read().map_err(str::to_owned),
        reviews: reviews.read().map_err(str::to_owned),
    };
    Html(page::productpage(&view)).into_response()
}

async fn login(body: String) -> Response {
    let Some(user) = session::user_of_form(&body) else {
        return server::error(StatusCode::BAD_REQUEST, "a user name has 1 to 64 letters, digits or . _ @ -");
    };
    back_to_the_page(session::cookie(&user))
}

async fn logout() -> Response {
    back_to_the_page(session::ending_cookie())
}

fn back_to_the_page(cookie: String) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to("/productpage")).into_response()
}

async fn stylesheet() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], page::STYLE).into_response()
}

async fn products() -> axum::Json<Vec<books::Product>> {
    axum::Json(books::products())
}

async fn product_details(State(service): State<Service>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let user = session::user(&headers);
    match server::product_id(&id) {
        Ok(id) => service.details(id, service.outgoing(&headers, user.as_deref())).await.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn product_reviews(State(service): State<Service>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let user = session::user(&headers);
    match server::product_id(&id) {
        Ok(id) => service.reviews(id, service.outgoing(&headers, user.as_deref())).await.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn product_ratings(State(service): State<Service>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let user = session::user(&headers);
    match server::product_id(&id) {
        Ok(id) => service.ratings(id, service.outgoing(&headers, user.as_deref())).await.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

impl Service {
    /// Headers of the calls made for a request: who asks is decided by the session alone, not by the visitor's headers.
    fn outgoing(&self, incoming: &HeaderMap, user: Option<&str>) -> HeaderMap {
        let mut outgoing = propagated(incoming);
        outgoing.remove(END_USER);
        if let Some(value) = user.and_then(|user| user.parse().ok()) {
            outgoing.insert(END_USER, value);
        }
        outgoing
    }

    async fn details(&self, id: u64, headers: HeaderMap) -> Part {
        let url = format!("{}/details/{id}", self.config.details_url);
        self.ask(&url, headers).await.or("Sorry, product details are currently unavailable for this book.")
    }

    async fn reviews(&self, id: u64, headers: HeaderMap) -> Part {
        let url = format!("{}/reviews/{id}", self.config.reviews_url);
        let mut part = self.ask(&url, headers.clone()).await;
        for _ in 1..REVIEWS_ATTEMPTS {
            if part.good() {
                break;
            }
            part = self.ask(&url, headers.clone()).await;
        }
        part.or("Sorry, product reviews are currently unavailable for this book.")
    }

    async fn ratings(&self, id: u64, headers: HeaderMap) -> Part {
        let url = format!("{}/ratings/{id}", self.config.ratings_url);
        self.ask(&url, headers).await.or("Sorry, product ratings are currently unavailable for this book.")
    }

    async fn ask(&self, url: &str, headers: HeaderMap) -> Part {
        let Ok(uri) = url.parse::<Uri>() else {
            return Part { answer: None, apology: "" };
        };
        let answer = self.client.get(uri, headers, CALL_TIMEOUT).await;
        if let Err(error) = &answer {
            debug!(url, %error, "no answer");
        }
        Part { answer: answer.ok(), apology: "" }
    }
}

/// What one callee had to say, or the words to say instead.
struct Part {
    answer: Option<Answer>,
    apology: &'static str,
}

impl Part {
    fn good(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.status == StatusCode::OK)
    }

    fn or(mut self, apology: &'static str) -> Self {
        self.apology = apology;
        self
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, &'static str> {
        let answer = self.answer.as_ref().filter(|_| self.good()).ok_or(self.apology)?;
        serde_json::from_slice(&answer.body).map_err(|_| self.apology)
    }

    /// The callee's body when it is good, else its status (500 without any) and the apology.
    fn into_response(self) -> Response {
        let status = self.answer.as_ref().map_or(StatusCode::INTERNAL_SERVER_ERROR, |answer| answer.status);
        match self.answer {
            Some(answer) if answer.status == StatusCode::OK => server::raw_json(status, answer.body),
            _ => server::error(status, self.apology),
        }
    }
}

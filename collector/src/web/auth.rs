//! Who may look: nobody without the token, unless the collector was started without a login.

mod failures;
mod sessions;
mod token;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use sidelight_api::error::ErrorKind;
use sidelight_api::session::{AuthMode, LoginRequest, Session};

use self::failures::Failures;
use self::sessions::Sessions;
pub use self::sessions::{SESSION_LIFETIME, SESSIONS_MAX};
pub use self::token::{TOKEN_FILE, Token, TokenError};
use super::client;
use super::error::Refusal;
use crate::control::Author;

/// Name of the session's cookie.
const COOKIE: &str = "sidelight_session";
/// Who acts with the token.
const USER: &str = "admin";
/// Who acts where nobody logs in.
const ANYONE: &str = "anonymous";

/// The login of one collector.
pub struct Auth {
    /// `None`: everybody may do everything.
    token: Option<Token>,
    sessions: Mutex<Sessions>,
    failures: Mutex<Failures>,
}

impl Auth {
    /// No login at all.
    #[must_use]
    pub fn open() -> Self {
        Self::new(None)
    }

    /// Those who know the token may do everything, others nothing.
    #[must_use]
    pub fn with_token(token: Token) -> Self {
        Self::new(Some(token))
    }

    fn new(token: Option<Token>) -> Self {
        Self { token, sessions: Mutex::default(), failures: Mutex::default() }
    }

    #[must_use]
    pub fn mode(&self) -> AuthMode {
        if self.token.is_some() { AuthMode::Token } else { AuthMode::None }
    }

    /// Whether the request carries a session or the token.
    ///
    /// # Errors
    /// When it carries neither, or its sender has failed too often.
    fn admit(&self, request: &Request) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let now = Instant::now();
        if cookie(request.headers()).is_some_and(|id| self.sessions.lock().knows(id, now)) {
            return Ok(());
        }
        match bearer(request.headers()) {
            Some(given) => self.compare(token, given, request, now),
            None => Err(Refusal::new(ErrorKind::Unauthorized, "log in first, or send the token as `Authorization: Bearer …`")),
        }
    }

    /// Counts wrong tokens per address, and stops listening to it after too many.
    fn compare(&self, token: &Token, given: &str, request: &Request, now: Instant) -> Result<(), Refusal> {
        let address = client::address(request);
        if self.failures.lock().is_blocked(address, now) {
            return Err(Refusal::new(ErrorKind::TooMany, "too many wrong tokens from this address; wait a minute"));
        }
        if token.matches(given) {
            return Ok(());
        }
        self.failures.lock().count(address, now);
        tracing::warn!(%address, "a wrong token was refused");
        Err(Refusal::new(ErrorKind::Unauthorized, "the token is wrong"))
    }
}

/// Lets requests pass that may, and tells the handlers who acts.
pub async fn require(State(auth): State<Arc<Auth>>, mut request: Request, next: Next) -> Response {
    if let Err(refusal) = auth.admit(&request) {
        return challenge(refusal);
    }
    // Where nobody logs in there is no author to vouch for: the control plane may believe what the caller says.
    if auth.token.is_some() {
        request.extensions_mut().insert(Author(USER.to_owned()));
    }
    next.run(request).await
}

/// Login, logout, and who is logged in: reachable without a login.
pub fn routes(auth: Arc<Auth>) -> Router {
    Router::new()
        .route("/api/session", get(session))
        .route("/api/login", post(login))
        .route("/api/logout", post(logout))
        .with_state(auth)
}

async fn session(State(auth): State<Arc<Auth>>, request: Request) -> Json<Session> {
    // Asking is not trying: a wrong token is not counted here, and not compared either.
    let now = Instant::now();
    let by_cookie = cookie(request.headers()).is_some_and(|id| auth.sessions.lock().knows(id, now));
    let logged_in = auth.token.is_none() || by_cookie;
    let user = match (auth.token.is_some(), logged_in) {
        (false, _) => ANYONE,
        (true, true) => USER,
        (true, false) => "",
    };
    Json(Session { auth: auth.mode(), logged_in, user: user.to_owned() })
}

async fn login(State(auth): State<Arc<Auth>>, request: Request) -> Result<Response, Refusal> {
    let Some(token) = &auth.token else {
        let session = Session { auth: AuthMode::None, logged_in: true, user: ANYONE.to_owned() };
        return Ok(Json(session).into_response());
    };
    let (parts, body) = request.into_parts();
    let secure = is_https(&parts.headers);
    let head = Request::from_parts(parts.clone(), axum::body::Body::empty());
    let Json(LoginRequest { token: given }) = Json::from_request(Request::from_parts(parts, body), &())
        .await
        .map_err(|rejection| Refusal::bad_request(format!("the body must be {{\"token\": \"…\"}}: {}", rejection.body_text())))?;
    let now = Instant::now();
    auth.compare(token, given.trim(), &head, now)?;
    let id = auth.sessions.lock().open(now);
    let session = Session { auth: AuthMode::Token, logged_in: true, user: USER.to_owned() };
    let cookie = set_cookie(&id, SESSION_LIFETIME.as_secs(), secure)?;
    Ok(([(header::SET_COOKIE, cookie)], Json(session)).into_response())
}

async fn logout(State(auth): State<Arc<Auth>>, headers: HeaderMap) -> Result<Response, Refusal> {
    if let Some(id) = cookie(&headers) {
        auth.sessions.lock().close(id);
    }
    let gone = set_cookie("", 0, is_https(&headers))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

fn challenge(refusal: Refusal) -> Response {
    let asks = refusal.kind == ErrorKind::Unauthorized;
    let mut response = refusal.into_response();
    if asks {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sidelight\""));
    }
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Behind a proxy that ends TLS the cookie must not travel without it.
fn is_https(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
}

fn set_cookie(id: &str, seconds: u64, secure: bool) -> Result<HeaderValue, Refusal> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).map_err(|_| Refusal::new(ErrorKind::Internal, "the session's cookie could not be written"))
}

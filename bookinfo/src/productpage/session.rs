//! Who is logged in: a cookie that carries the user's name.
//!
//! Any password is right, so the cookie needs no signature; that keeps the service without state, and a load client can
//! be anyone by sending `cookie: session=luffy`.

use http::{HeaderMap, header};

const COOKIE: &str = "session";
/// Longest user name.
const USER_CHARS_MAX: usize = 64;

/// The user of the request's cookie.
pub fn user(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE);
    let pairs = cookies.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let (_, user) = pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == COOKIE)?;
    valid(user)
}

/// The user of a log-in form, `username=luffy&passwd=…`.
pub fn user_of_form(body: &str) -> Option<String> {
    let (_, user) = body.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == "username")?;
    valid(&user.replace("%40", "@"))
}

pub fn cookie(user: &str) -> String {
    format!("{COOKIE}={user}; Path=/; HttpOnly; SameSite=Lax")
}

pub fn ending_cookie() -> String {
    format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
}

fn valid(user: &str) -> Option<String> {
    let letters = user.chars().all(|c| c.is_ascii_alphanumeric() || "._@-".contains(c));
    (letters && (1..=USER_CHARS_MAX).contains(&user.len())).then(|| user.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cookies(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, text.parse().unwrap());
        headers
    }

    #[test]
    fn user_is_read_from_cookie_and_form() {
        assert_eq!(user(&cookies("a=1; session=luffy; b=2")).as_deref(), Some("luffy"));
        assert_eq!(user(&cookies("sessions=luffy")), None);
        assert_eq!(user(&cookies("session=")), None);
        assert_eq!(user(&cookies("session=<b>")), None);
        assert_eq!(user_of_form("username=luffy&passwd=x").as_deref(), Some("luffy"));
        assert_eq!(user_of_form("passwd=x&username=a%40b").as_deref(), Some("a@b"));
        assert_eq!(user_of_form("username=&passwd=x"), None);
        assert_eq!(user_of_form(&format!("username={}", "a".repeat(65))), None);
    }
}

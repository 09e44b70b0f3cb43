//! Reads how to ask: `tls_config`, `basic_auth`, `authorization`, for targets and for discoveries alike.

use std::path::Path;

use super::super::client::{Authorization, HttpClient, HttpSettings, Pem, Secret, TlsSettings};
use super::yaml::{Mistakes, Table};
use crate::causes::with_causes;

/// What Prometheus' client can do and this one cannot.
pub const NOT_DONE: [(&str, &str); 3] =
    [("oauth2", "; use `authorization` with a token in a file"), ("proxy_url", ""), ("proxy_from_environment", "")];

/// Takes the keys of the client out of a table.
pub fn settings(table: &mut Table<'_>, folder: &Path, mistakes: &mut Mistakes) -> HttpSettings {
    let line = table.line;
    let tls = table.take("tls_config").map(|entry| tls(entry.value.table("tls_config", mistakes), folder, mistakes));
    let mut given = Vec::new();
    given.extend(table.take("basic_auth").map(|entry| basic(entry.value.table("basic_auth", mistakes), folder, mistakes)));
    given.extend(table.take("authorization").map(|entry| scheme(entry.value.table("authorization", mistakes), folder, mistakes)));
    given.extend(bearer(table, folder, mistakes));
    if given.len() > 1 {
        mistakes.add(line, "there is more than one of `basic_auth`, `authorization` and `bearer_token`");
    }
    // HTTP/2 changes nothing that is scraped.
    let _ = table.flag("enable_http2", mistakes);
    HttpSettings {
        tls: tls.unwrap_or_default(),
        authorization: given.pop().unwrap_or_default(),
        follow_redirects: table.flag("follow_redirects", mistakes).unwrap_or(true),
    }
}

/// The client, with its certificates read.
pub fn client(settings: HttpSettings, line: u64, mistakes: &mut Mistakes) -> HttpClient {
    HttpClient::new(settings).unwrap_or_else(|error| {
        mistakes.add(line, with_causes(&error));
        HttpClient::plain()
    })
}

fn tls(mut table: Table<'_>, folder: &Path, mistakes: &mut Mistakes) -> TlsSettings {
    let settings = TlsSettings {
        ca: table.path("ca_file", folder, mistakes).map(Pem::File),
        cert: table.path("cert_file", folder, mistakes).map(Pem::File),
        key: table.path("key_file", folder, mistakes).map(Pem::File),
        server_name: table.text("server_name", mistakes),
        insecure_skip_verify: table.flag("insecure_skip_verify", mistakes).unwrap_or(false),
    };
    table.finish_with(&[("min_version", "; TLS 1.2 is the least"), ("max_version", "")], mistakes);
    settings
}

/// A secret in the configuration or in a file, not both.
fn secret(table: &mut Table<'_>, key: &str, folder: &Path, mistakes: &mut Mistakes) -> Option<Secret> {
    let file_key = format!("{key}_file");
    let text = table.text(key, mistakes).map(Secret::Text);
    let file = table.path(&file_key, folder, mistakes).map(Secret::File);
    if text.is_some() && file.is_some() {
        mistakes.add(table.line, format!("there are both `{key}` and `{file_key}`"));
    }
    text.or(file)
}

fn basic(mut table: Table<'_>, folder: &Path, mistakes: &mut Mistakes) -> Authorization {
    let username = table.text("username", mistakes).unwrap_or_default();
    let password = secret(&mut table, "password", folder, mistakes).unwrap_or(Secret::Text(String::new()));
    table.finish(mistakes);
    Authorization::Basic { username, password }
}

fn scheme(mut table: Table<'_>, folder: &Path, mistakes: &mut Mistakes) -> Authorization {
    let scheme = table.text("type", mistakes).map_or_else(|| "Bearer".to_owned(), |text| text.trim().to_owned());
    if scheme.eq_ignore_ascii_case("basic") {
        mistakes.add(table.line, "`authorization` of type Basic is written as `basic_auth`");
    }
    let credentials = secret(&mut table, "credentials", folder, mistakes);
    table.finish(mistakes);
    credentials.map_or(Authorization::None, |credentials| Authorization::Scheme { scheme, credentials })
}

/// The older spelling of a bearer token.
fn bearer(table: &mut Table<'_>, folder: &Path, mistakes: &mut Mistakes) -> Option<Authorization> {
    let credentials = secret(table, "bearer_token", folder, mistakes)?;
    Some(Authorization::Scheme { scheme: "Bearer".to_owned(), credentials })
}

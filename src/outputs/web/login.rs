//! The form that asks a browser for the token, and what takes it.
//!
//! A POST, so that the token stands in no address: addresses end up in histories, bookmarks and logs.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Site;
use super::refusal::Refusal;
use super::routes::sentence;

/// The form. `said` is why it is shown again.
pub(super) fn form(status: StatusCode, said: &str) -> Response {
    let page = include_str!("page/login.html").replace("{said}", said);
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// `GET /login`.
pub(super) async fn show(State(site): State<Arc<Site>>) -> Response {
    match site.guard.token() {
        Some(_) => form(StatusCode::OK, ""),
        None => to_the_page(),
    }
}

/// `POST /login`.
pub(super) async fn enter(State(site): State<Arc<Site>>, request: Request) -> Response {
    let Some(token) = site.guard.token() else { return to_the_page() };
    let peer = request.extensions().get().copied();
    let given = match tokio::time::timeout(FORM_TIME, given(request.into_body())).await {
        Ok(Some(given)) => given,
        Ok(None) => {
            site.visitors.refuse(Refusal::Body);
            let (status, said) = Refusal::Body.answer();
            return sentence(status, said);
        }
        Err(_) => {
            site.visitors.refuse(Refusal::SlowToAsk);
            let (status, said) = Refusal::SlowToAsk.answer();
            return sentence(status, said);
        }
    };
    if !token.is(&given) {
        site.turn_down_wrong_token(peer).await;
        return form(StatusCode::UNAUTHORIZED, "That is not the token.");
    }
    let mut response = to_the_page();
    response.headers_mut().insert(header::SET_COOKIE, site.guard.cookie(token));
    response
}

fn to_the_page() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response()
}

/// The value of `token` in a form; empty without one, nothing where the body is too long or breaks off.
async fn given(body: Body) -> Option<Vec<u8>> {
    let form = to_bytes(body, MAX_FORM_BYTES).await.ok()?;
    let mut fields = form.split(|byte| *byte == b'&');
    let token = fields.find_map(|field| field.strip_prefix(b"token="));
    // A token that is pasted brings a space or a line's end along.
    Some(token.map(|token| unescaped(token).trim_ascii().to_vec()).unwrap_or_default())
}

/// A form's `+` and `%2B`. What is no escape stays as it is: it is then no token either.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut unescaped = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escape = after.get(..2).filter(|_| *first == b'%');
        let byte = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, after) = match (byte, first) {
            (Some(byte), _) => (byte, &after[2..]),
            (None, b'+') => (b' ', after),
            (None, other) => (*other, after),
        };
        unescaped.push(byte);
        rest = after;
    }
    unescaped
}

/// A token has 1024 bytes at most, and this far fewer as a rule.
const MAX_FORM_BYTES: usize = 1024;
const FORM_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_of_a_form_are_undone() {
        for (text, wanted) in [
            (&b"abc"[..], &b"abc"[..]),
            (b"a%2Bb%3d", b"a+b="),
            (b"a+b", b"a b"),
            (b"%", b"%"),
            (b"%2", b"%2"),
            (b"%zz%+1", b"%zz% 1"),
            (b"%ff%00", b"\xff\0"),
        ] {
            assert_eq!(unescaped(text), wanted);
        }
    }
}

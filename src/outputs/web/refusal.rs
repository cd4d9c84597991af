//! Every reason for which somebody is turned away, with what is said then.

use axum::http::StatusCode;

/// A reason. Its name is a label in `/metrics` and a key in `/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// All connections are taken.
    Connections,
    /// One other machine has all that one may have.
    Share,
    /// Eight streams are being watched.
    Streams,
    /// It was asked for under a name that is not ours.
    Host,
    /// Another site's page asks.
    CrossSite,
    /// It would change something, and does not say which page asks.
    NoOrigin,
    /// More changes than anybody makes by hand.
    TooOften,
    /// A method that is not for this path.
    Method,
    /// A body where there is none, or one that is too long.
    Body,
    /// Neither token nor cookie.
    NoToken,
    /// One that is wrong.
    WrongToken,
    /// Head of the request too large.
    Head,
    /// No HTTP/1.
    Malformed,
    /// The request did not come in time.
    SlowToAsk,
    /// The answer was not taken in time.
    SlowToRead,
    /// Something was said on the WebSocket, which only shows.
    Message,
}

impl Refusal {
    pub(super) const ALL: [Self; 16] = [
        Self::Connections,
        Self::Share,
        Self::Streams,
        Self::Host,
        Self::CrossSite,
        Self::NoOrigin,
        Self::TooOften,
        Self::Method,
        Self::Body,
        Self::NoToken,
        Self::WrongToken,
        Self::Head,
        Self::Malformed,
        Self::SlowToAsk,
        Self::SlowToRead,
        Self::Message,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Share => "share",
            Self::Streams => "streams",
            Self::Host => "host",
            Self::CrossSite => "cross_site",
            Self::NoOrigin => "no_origin",
            Self::TooOften => "too_often",
            Self::Method => "method",
            Self::Body => "body",
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
            Self::Head => "head",
            Self::Malformed => "malformed",
            Self::SlowToAsk => "slow_to_ask",
            Self::SlowToRead => "slow_to_read",
            Self::Message => "message",
        }
    }

    /// What the client is told. Hyper answers a head that it cannot read, and who is slow is not answered at all.
    pub(super) fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::Connections => (
                StatusCode::SERVICE_UNAVAILABLE,
                "All connections are taken; close a page or wait for a scraper to finish.",
            ),
            Self::Share => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Your machine has all the connections that one may have; close a page.",
            ),
            Self::Streams => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many are watching; close a page, or ask for /snapshot.png.",
            ),
            Self::Host => (
                StatusCode::FORBIDDEN,
                "This page answers only under 127.0.0.1, [::1] or localhost, under its address where other machines \
                 may reach it, and under the names in web.host_names.",
            ),
            Self::CrossSite => (
                StatusCode::FORBIDDEN,
                "Another site's page has asked for this; open / itself. Behind a proxy, let it pass the Host header on.",
            ),
            Self::NoOrigin => (
                StatusCode::FORBIDDEN,
                "Whoever changes something must say from which page: send this page's own address as Origin, such \
                 as `Origin: http://127.0.0.1:8500` where that is the Host.",
            ),
            Self::TooOften => (
                StatusCode::TOO_MANY_REQUESTS,
                "Ten changes at once and five a second are enough; try again in a second.",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Not with this method; nearly everything here only shows, and takes GET and HEAD.",
            ),
            Self::Body => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "No request here has a body but the token's and a change's, 1024 bytes at most.",
            ),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "This page wants its token: send `Authorization: Bearer TOKEN`, or open / in a browser.",
            ),
            Self::WrongToken => (
                StatusCode::UNAUTHORIZED,
                "That is not the token; it is in the file that web.token_file names.",
            ),
            Self::Head => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The head is too large."),
            Self::Malformed => (StatusCode::BAD_REQUEST, "That is no HTTP/1."),
            Self::SlowToAsk | Self::SlowToRead => {
                (StatusCode::REQUEST_TIMEOUT, "The request did not come in time.")
            }
            Self::Message => {
                (StatusCode::BAD_REQUEST, "Nothing is to be said here; /live only shows.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_at_its_own_place() {
        for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, place, "{}", refusal.name());
        }
    }
}

//! Graph as far as a caller of ours meets it: one table of routes, and what every request goes through on its way.

macro_rules! route {
    ($method:ident $template:literal $kind:ident $cost:literal $needs:expr => $handle:expr) => {
        Route {
            method: http::Method::$method,
            template: $template,
            kind: Kind::$kind,
            cost: $cost,
            needs: $needs,
            handle: $handle,
        }
    };
}

mod batch;
mod groups;
mod log;
mod objects;
mod pim;
mod route;
mod serve;
mod service_principal;
mod sync;
mod users;

pub(crate) use route::Incoming;
use serve::{Served, claims, finish, serve_one};

use super::odata::Reply;
use super::tenant::Inner;

/// One request of a caller, a batch or a plain one.
pub(crate) fn serve(inner: &Inner, request: &Incoming) -> Served {
    let Some(claims) = claims(inner, request) else {
        let reply = Reply::error(401, "InvalidAuthenticationToken", "Access token is missing, malformed or has expired.");
        return finish(inner, request, reply);
    };
    if request.path == "/$batch" {
        return finish(inner, request, batch::serve(inner, &claims, request));
    }
    serve_one(inner, &claims, request)
}

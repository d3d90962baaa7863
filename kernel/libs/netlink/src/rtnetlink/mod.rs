//! Links, addresses, routes and neighbours (rtnetlink(7)): what is asked ([`link::Request`] and its like), and what is told
//! ([`link::Report`] and its like).

pub mod address;
pub mod link;
pub mod neighbour;
pub mod route;

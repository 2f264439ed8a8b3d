//! The manual: from an app at Dropbox Sign to many users on many machines.
//!
//! Read [`flow`] first, then [`web_applications`] or [`embedding`], and [`errors`] and [`sessions`].
//! [`security`], [`testing`], [`observability`] and [`performance`] prepare for production. Programs
//! that have another client begin with [`from_oauth2`] or [`from_vendor_sdks`].
//!
//! The tests of this crate compile the code of these pages, and run what needs no network. Most of
//! it uses the async adapter,
//! [`dropbox-sign-oauth-hyper`](https://docs.rs/dropbox-sign-oauth-hyper/latest/dropbox_sign_oauth_hyper/).
//! The blocking adapter,
//! [`dropbox-sign-oauth-ureq`](https://docs.rs/dropbox-sign-oauth-ureq/latest/dropbox_sign_oauth_ureq/),
//! has the same names, without `async` and `.await`.

#[doc = include_str!("embedding.md")]
pub mod embedding {}
#[doc = include_str!("errors.md")]
pub mod errors {}
#[doc = include_str!("flow.md")]
pub mod flow {}
#[doc = include_str!("from_oauth2.md")]
pub mod from_oauth2 {}
#[doc = include_str!("from_vendor_sdks.md")]
pub mod from_vendor_sdks {}
#[doc = include_str!("observability.md")]
pub mod observability {}
#[doc = include_str!("performance.md")]
pub mod performance {}
#[doc = include_str!("security.md")]
pub mod security {}
#[doc = include_str!("sessions.md")]
pub mod sessions {}
#[doc = include_str!("testing.md")]
pub mod testing {}
#[doc = include_str!("web_applications.md")]
pub mod web_applications {}

//! Records nothing.

#![expect(clippy::unused_self, reason = "the signatures are those of the feature")]

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use http::{Request, Response};

use crate::{CallError, Operation, Retry};

#[derive(Debug)]
#[must_use]
pub struct CallSpan;

impl CallSpan {
    pub fn new<O: Operation>(_: &Retry<O>, _: &Request<Vec<u8>>) -> Self {
        Self
    }

    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }

    pub fn connection(&self, _: Option<&'static str>) {}

    pub fn response<B>(
        &mut self,
        _: impl FnOnce() -> Duration,
        _: &Result<Response<B>, CallError>,
    ) {
    }

    pub fn result<T>(&mut self, _: &Result<T, CallError>) {}
}

#[derive(Clone, Default, Debug)]
pub(crate) struct Label();

impl Label {
    pub(crate) fn new(_: &Arc<str>) -> Self {
        Self()
    }

    pub(crate) fn refresh_started(&self) {}

    pub(crate) fn claim_taken_over(&self) {}

    pub(crate) fn tokens_stored(&self) {}

    pub(crate) fn refresh_failed(&self, _: &CallError, _: u32) {}

    pub(crate) fn store_failed(&self, _: u32) {}
}

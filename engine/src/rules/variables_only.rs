//! What a family has that is all variables: no directives, no settings, nothing to say in a log.

use crate::directive::{Directive, OfBaseServer};
use crate::log_event::LogEvent;

/// Nothing of such a family is written.
#[derive(Clone, Debug, Default)]
pub struct Settings;

/// Nothing of it stands in a location.
pub type LocationSettings = ();

/// Nothing is kept of one request.
pub type Facts = ();

/// It has no events.
pub const LOG_EVENTS: &[&LogEvent] = &[];

/// It has no directives.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[];

impl OfBaseServer for Settings {}

//! Directives of the specification that do not work yet. They are refused by name: a line that is
//! accepted and does nothing would be worse than none.

use crate::directive::{About, Arity, Scope};
use core::ffi::CStr;

const fn refused(name: &'static CStr, spec: &'static str) -> About {
    About {
        name,
        arguments: c"",
        arity: Arity::Any,
        scope: Scope::Location,
        range: "",
        default: "",
        help: "",
        spec,
    }
}

/// Name, and the page that says what it will do.
pub const DIRECTIVES: &[About] = &[
    refused(c"QS_LocRequestPerSecLimit", "request-limits.md"),
    refused(c"QS_LocRequestPerSecLimitMatch", "request-limits.md"),
    refused(c"QS_LocKBytesPerSecLimit", "request-limits.md"),
    refused(c"QS_LocKBytesPerSecLimitMatch", "request-limits.md"),
    refused(c"QS_EventPerSecLimit", "request-limits.md"),
    refused(c"QS_EventKBytesPerSecLimit", "request-limits.md"),
    refused(c"QS_EventLimitCount", "request-limits.md"),
    refused(c"QS_CondEventLimitCount", "request-limits.md"),
    refused(c"QS_DenyRequestLine", "request-filter.md"),
    refused(c"QS_DenyPath", "request-filter.md"),
    refused(c"QS_DenyQuery", "request-filter.md"),
    refused(c"QS_DenyEvent", "request-filter.md"),
    refused(c"QS_PermitUri", "request-filter.md"),
    refused(c"QS_DenyInheritanceOff", "request-filter.md"),
    refused(c"QS_DenyQueryBody", "request-filter.md"),
    refused(c"QS_PermitUriBody", "request-filter.md"),
    refused(c"QS_DenyBody", "request-filter.md"),
    refused(c"QS_Decoding", "request-filter.md"),
    refused(c"QS_InvalidUrlEncoding", "request-filter.md"),
    refused(c"QS_RequestHeaderFilter", "request-filter.md"),
    refused(c"QS_RequestHeaderFilterRule", "request-filter.md"),
    refused(c"QS_ResponseHeaderFilter", "request-filter.md"),
    refused(c"QS_ResponseHeaderFilterRule", "request-filter.md"),
    refused(c"QS_DeflateReqBody", "request-filter.md"),
    refused(c"QS_MileStone", "request-filter.md"),
    refused(c"QS_MileStoneTimeout", "request-filter.md"),
    refused(c"QS_RedirectIf", "request-filter.md"),
    refused(c"QS_UserTrackingCookieName", "request-filter.md"),
    refused(c"QS_SetEnvIfParp", "variables.md"),
    refused(c"QS_SetEnvIfBody", "variables.md"),
    refused(c"QS_SetEnvIfResBody", "variables.md"),
    refused(c"QS_SetEnvResBody", "variables.md"),
    refused(c"QS_SetReqHeader", "variables.md"),
    refused(c"QS_UnsetReqHeader", "variables.md"),
    refused(c"QS_UnsetResHeader", "variables.md"),
];

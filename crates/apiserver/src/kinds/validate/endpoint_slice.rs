//! Validation of endpoint slices.

use serde_json::Value;

use super::{immutable, named};
use crate::kinds::FieldError;

const ADDRESS_TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];

/// Validates the address type, which is immutable. Upstream: `ValidateEndpointSliceUpdate`.
pub(in crate::kinds) fn endpoint_slice(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = named(new, old);
    match new["addressType"].as_str().unwrap_or_default() {
        "" => errors.push(FieldError::required("addressType", "")),
        other if !ADDRESS_TYPES.contains(&other) => {
            let error = FieldError::unsupported("addressType", other, &ADDRESS_TYPES);
            errors.push(error);
        }
        _ => errors.extend(immutable(new, old, "/addressType", "addressType")),
    }
    errors
}

//! Size of the client's terminal, as JSON on the resize stream.

use serde::Deserialize;

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TerminalSize {
    width: u16,
    height: u16,
}

impl TerminalSize {
    /// Returns columns and rows; `None` if the client does not know them and sends 0.
    pub(super) fn columns_and_rows(&self) -> Option<(u16, u16)> {
        (self.width > 0 && self.height > 0).then_some((self.width, self.height))
    }
}

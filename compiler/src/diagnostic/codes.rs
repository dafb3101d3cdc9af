//! The long form of every diagnostic, for `nnc explain E0301`: what it says, a model that causes it, and the remedy.

/// What the diagnostic `code` means and what to do about it.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    CODES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, text)| *text)
}

macro_rules! pages {
    ($($code:literal)*) => {
        /// Every code with its long form, in order.
        pub const CODES: &[(&str, &str)] = &[$(($code, include_str!(concat!("pages/", $code, ".md"))),)*];
    };
}

pages! {
    "E0101" "E0102" "E0103" "E0104" "E0105" "E0106" "E0107" "E0201" "E0202" "E0203" "E0204" "E0205" "E0206"
    "E0207" "E0208" "E0209" "E0210" "E0211" "E0212" "E0213" "E0301" "E0302" "E0303" "E0304" "E0305" "E0306"
    "E0307" "E0308" "E0309" "E0310" "E0311" "E0312" "E0313" "E0314" "E0315" "E0316" "E0317" "E0401" "E0402" "E0403"
    "E0404" "E0405" "E0501" "E0502" "E0504" "E0505" "E0506" "E0507" "E0508" "E0509" "E0510" "W0201" "W0202"
    "W0203" "W0301" "W0302" "W0303" "W0304" "W0501" "W0502" "W0503" "W0504" "W0505"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_explained_once() {
        for pair in CODES.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} and {}", pair[0].0, pair[1].0);
        }
        assert!(explain("e0301").is_some_and(|text| text.contains("shortcut")));
        assert_eq!(explain("E9999"), None);
    }
}

//! Did you mean?

/// The candidate that a misspelt name most likely meant, if any is near enough.
///
/// Near means at most a third of the name's letters wrong; among equals the first.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    let tolerated = (length / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate == name || candidate.chars().count().abs_diff(length) > tolerated {
            continue;
        }
        let distance = match candidate.eq_ignore_ascii_case(name) {
            true => 0,
            false => strsim::damerau_levenshtein(name, candidate),
        };
        let near = distance <= tolerated && distance < length;
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_slips_and_leaves_strangers() {
        let names = ["conv2d", "dense", "dropout", "relu", "max_pool2d"];
        assert_eq!(nearest("conv_2d", names), Some("conv2d"));
        assert_eq!(nearest("dens", names), Some("dense"));
        assert_eq!(nearest("ReLU", names), Some("relu"));
        assert_eq!(nearest("maxpool2d", names), Some("max_pool2d"));
        assert_eq!(nearest("attention", names), None);
        assert_eq!(nearest("x", ["y", "z"]), None);
    }
}

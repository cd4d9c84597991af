//! What each of our own networks was trained on, in one line: whoever looks at its mask must know what it has never seen.
//! The whole of it is model/MODEL_CARD.md.

/// The line of the network with this SHA-256 (lower-case hex); none for a network of somebody else, and for an .rpk, which
/// does not say what it was made from.
#[must_use]
pub fn trained_on(sha256: &str) -> Option<&'static str> {
    OWN.contains(&sha256).then_some(
        "20 pictures of 10 children's eyes (CHASE_DB1), one hand-held fundus camera, 30°; tested on 8 more of the same; \
         not validated for adults, disease or other optics",
    )
}

/// accurate.onnx and fast.onnx.
const OWN: [&str; 2] = [
    "440e71932a14d8ebcd18ce8d8e6ebc27090ccead00af412023c1821302907796",
    "199f2c0ed6ef1b096418b7d36b50f089726efca8dd1d2b1c9ccda3ec4f826a86",
];

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::trained_on;

    #[test]
    fn networks_that_ship_say_what_they_were_trained_on() {
        for name in ["accurate", "fast"] {
            let path = format!("{}/model/network/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
            let hash = Sha256::digest(std::fs::read(path).unwrap());
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(trained_on(&hash).unwrap().starts_with("20 pictures"), "{name}");
        }
        assert_eq!(trained_on(&"ab".repeat(32)), None);
    }
}

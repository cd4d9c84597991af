//! What each criterion means, where its bounds lie, and what a person at the bench does about it.

use super::Grade;

/// One criterion, the same for every frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standard {
    /// As it is written in results.
    pub name: &'static str,
    /// "1" where it has none.
    pub unit: &'static str,
    /// Good from this value.
    pub good_from: f64,
    /// Usable from this value, rejected below.
    pub usable_from: f64,
    /// In one sentence.
    pub definition: &'static str,
    /// What to do when it is not good: two or three words, then how.
    pub advice: &'static str,
}

impl Standard {
    /// What is no number is rejected.
    pub(super) fn grade(&self, value: f64) -> Grade {
        if value >= self.good_from {
            Grade::Good
        } else if value >= self.usable_from {
            Grade::Usable
        } else {
            Grade::Reject
        }
    }
}

/// Causes before effects: a field that is cut off has a strange density, too, and light explains contrast.
///
/// docs/quality.md says how the bounds were set on CHASE_DB1, and how often they are right. Those of size, evenness and
/// plausibility are by judgement.
pub const CRITERIA: [Standard; 9] = [
    Standard {
        name: "field_size",
        unit: "1",
        good_from: 0.4,
        usable_from: 0.15,
        definition: "area of the field of view, the lit disc, over that of the picture",
        advice: "Find the field: bring the lit disc into the picture, and closer until it fills most of it",
    },
    Standard {
        name: "roundness",
        unit: "1",
        good_from: 0.9,
        usable_from: 0.8,
        definition: "area of the field of view over that of the circle of the same largest extent, 1 at most; a field that \
                     fills the picture is whole",
        advice: "Centre: the lit disc is cut off; move the camera until all of it is in the picture",
    },
    Standard {
        name: "brightness",
        unit: "1",
        good_from: 0.1,
        usable_from: 0.07,
        definition: "median of green in the field of view, 0 black to 1 white",
        advice: "More light: brighten the lamp, or lengthen the exposure",
    },
    Standard {
        name: "headroom",
        unit: "1",
        good_from: 0.8,
        usable_from: 0.45,
        definition: "share of the field of view where green is below 250 of 255, that is not white",
        advice: "Less light: parts are white and show no vessels; dim the lamp, or shorten the exposure",
    },
    Standard {
        name: "evenness",
        unit: "1",
        good_from: 0.35,
        usable_from: 0.25,
        definition: "green beside vessels, of the darkest quarter of the 16 parts of the field of view over the brightest \
                     quarter",
        advice: "Even the light: one side is darker; centre the lamp on the eye, and the eye in front of the camera",
    },
    Standard {
        name: "focus",
        unit: "1",
        good_from: 0.49,
        usable_from: 0.44,
        definition: "energy of green detail of 1/46 of the field's diameter over that of 1/23, along rows or columns, whichever \
                     is less, noise taken out; it does not depend on brightness or contrast",
        advice: "Refocus: the thinnest vessels are lost; turn the lens until they are sharpest",
    },
    Standard {
        name: "contrast",
        unit: "1",
        good_from: 2.6,
        usable_from: 1.9,
        definition: "how much darker in green the mask's vessels are than what lies beside them, over the noise there",
        advice: "Clear the view: vessels hardly stand out; clean the lens, keep stray light off, more light and less gain",
    },
    Standard {
        name: "stillness",
        unit: "1",
        good_from: 0.55,
        usable_from: 0.28,
        definition: "mask of this frame and of the frame before: pixels in both over pixels in either",
        advice: "Hold still: eye or camera moves; rest the head, fix the camera",
    },
    Standard {
        name: "plausibility",
        unit: "1",
        good_from: 0.6,
        usable_from: 0.35,
        definition: "how near the share of vessels in the field of view is to 0.10, the mean of 28 drawn pictures: the \
                     smaller of the two over the larger",
        advice: "Check the view: the share of vessels is not that of an eye's background; check window, threshold and eye",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_in_order_and_names_are_distinct() {
        for (i, standard) in CRITERIA.iter().enumerate() {
            assert!(standard.usable_from < standard.good_from, "{}", standard.name);
            assert!(CRITERIA[..i].iter().all(|other| other.name != standard.name));
            assert_eq!(standard.grade(standard.good_from), Grade::Good);
            assert_eq!(standard.grade(standard.usable_from), Grade::Usable);
            assert_eq!(standard.grade(standard.usable_from - 1e-9), Grade::Reject);
            assert_eq!(standard.grade(f64::NAN), Grade::Reject);
        }
    }
}

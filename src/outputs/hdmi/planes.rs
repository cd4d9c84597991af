//! How a picture gets onto the screen with what the card can: a ladder of three rungs, of which the first that
//! the card accepts (`TEST_ONLY`, nothing is shown by that) is taken.
//!
//! ```text
//!   rung      base plane (whole screen)     picture plane          mask plane (alpha)
//!   Scaled    background, words             at its own size -----> at its own size ------> the card scales both
//!   Placed    the same, picture in it       -                      scaled by the CPU
//!   Blended   all of it, by the CPU         -                      -
//! ```
//!
//! Whatever the rung, picture and mask of one frame are in one commit, and words are never scaled.

use std::fmt;

/// A way to show a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// Picture and mask on planes of their own, both scaled by the card.
    Scaled,
    /// The mask on a plane of its own, scaled by the CPU.
    Placed,
    /// One plane; the CPU lays the mask over the picture.
    Blended,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scaled => "picture and mask on planes that the card scales",
            Self::Placed => "mask on a plane, scaled by the CPU",
            Self::Blended => "one plane, drawn by the CPU",
        })
    }
}

/// What a plane is for, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaneKind {
    /// The one that a mode needs.
    Primary,
    /// One more.
    Overlay,
    /// A mouse pointer's.
    Cursor,
}

/// What a card says of a plane that can be on our screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaneFacts {
    /// What it is for.
    pub kind: PlaneKind,
    /// Fourcc codes.
    pub formats: Vec<u32>,
    /// Where it lies by itself: greater is nearer. Where it says nothing, planes lie in their own order.
    pub zpos: Option<u64>,
}

/// A rung with the planes for it, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrangement {
    /// Which rung.
    pub rung: Rung,
    /// Covers the screen.
    pub base: usize,
    /// Only on [`Rung::Scaled`].
    pub picture: Option<usize>,
    /// Not on [`Rung::Blended`].
    pub mask: Option<usize>,
}

/// The best arrangement that `accepts` takes; else each rung with why not.
pub fn climb_down(
    planes: &[PlaneFacts],
    mut accepts: impl FnMut(&Arrangement) -> Result<(), String>,
) -> Result<Arrangement, Vec<String>> {
    let mut refusals = Vec::new();
    for rung in [Rung::Scaled, Rung::Placed, Rung::Blended] {
        let refusal = match arrange(planes, rung) {
            None => "the card has not the planes for it".to_owned(),
            Some(arrangement) => match accepts(&arrangement) {
                Ok(()) => return Ok(arrangement),
                Err(refusal) => refusal,
            },
        };
        refusals.push(format!("{rung}: {refusal}"));
    }
    Err(refusals)
}

fn arrange(planes: &[PlaneFacts], rung: Rung) -> Option<Arrangement> {
    let can =
        |i: usize, kind, format| planes[i].kind == kind && planes[i].formats.contains(&format);
    let base = (0..planes.len()).find(|&i| can(i, PlaneKind::Primary, XRGB8888))?;
    let mut above: Vec<usize> = (0..planes.len())
        .filter(|&i| planes[i].kind == PlaneKind::Overlay && lies_above(planes, base, i))
        .collect();
    above.sort_by_key(|&i| (planes[i].zpos, i));
    let (picture, mask) = match rung {
        Rung::Scaled => {
            let at = above.iter().position(|&i| can(i, PlaneKind::Overlay, XRGB8888))?;
            let mask = above[at + 1..].iter().find(|&&i| can(i, PlaneKind::Overlay, ARGB8888))?;
            (Some(above[at]), Some(*mask))
        }
        Rung::Placed => {
            (None, Some(*above.iter().find(|&&i| can(i, PlaneKind::Overlay, ARGB8888))?))
        }
        Rung::Blended => (None, None),
    };
    Some(Arrangement { rung, base, picture, mask })
}

/// Some cards have overlay planes that lie under the primary one.
fn lies_above(planes: &[PlaneFacts], base: usize, i: usize) -> bool {
    match (planes[base].zpos, planes[i].zpos) {
        (Some(base), Some(own)) => own >= base,
        _ => true,
    }
}

/// Blue, green, red, nothing: the bytes of "XR24".
pub const XRGB8888: u32 = u32::from_le_bytes(*b"XR24");
/// Blue, green, red, opacity: the bytes of "AR24".
pub const ARGB8888: u32 = u32::from_le_bytes(*b"AR24");

#[cfg(test)]
mod tests {
    use super::*;

    const RGB565: u32 = u32::from_le_bytes(*b"RG16");

    fn plane(kind: PlaneKind, zpos: Option<u64>, formats: &[u32]) -> PlaneFacts {
        PlaneFacts { kind, formats: formats.to_vec(), zpos }
    }

    /// As vc4 on a Raspberry Pi 4 lists them: one primary, then overlays, each able to scale.
    fn vc4() -> Vec<PlaneFacts> {
        let overlay = |zpos| plane(PlaneKind::Overlay, Some(zpos), &[XRGB8888, ARGB8888, RGB565]);
        vec![
            plane(PlaneKind::Primary, Some(0), &[XRGB8888, ARGB8888, RGB565]),
            overlay(1),
            overlay(2),
            overlay(3),
            plane(PlaneKind::Cursor, Some(4), &[ARGB8888]),
        ]
    }

    #[test]
    fn card_that_scales_gets_three_planes_in_order() {
        let got = climb_down(&vc4(), |_| Ok(())).unwrap();
        let want = Arrangement { rung: Rung::Scaled, base: 0, picture: Some(1), mask: Some(2) };
        assert_eq!(got, want);
    }

    #[test]
    fn card_that_does_not_scale_gets_the_mask_plane_and_then_none() {
        let placed = climb_down(&vc4(), |a| match a.rung {
            Rung::Scaled => Err("ERANGE".to_owned()),
            _ => Ok(()),
        });
        let want = Arrangement { rung: Rung::Placed, base: 0, picture: None, mask: Some(1) };
        assert_eq!(placed, Ok(want));
        let blended = climb_down(&vc4(), |a| match a.rung {
            Rung::Blended => Ok(()),
            _ => Err("EINVAL".to_owned()),
        });
        assert_eq!(blended.unwrap().mask, None);
    }

    #[test]
    fn one_plane_is_never_asked_for_more() {
        let mut asked = Vec::new();
        let planes = [plane(PlaneKind::Primary, None, &[XRGB8888])];
        let got = climb_down(&planes, |a| {
            asked.push(a.rung);
            Ok(())
        });
        assert_eq!(got.unwrap().rung, Rung::Blended);
        assert_eq!(asked, [Rung::Blended]);
    }

    #[test]
    fn mask_lies_above_the_picture_and_both_above_the_base() {
        let formats = [XRGB8888, ARGB8888];
        let planes = [
            plane(PlaneKind::Overlay, Some(3), &formats),
            plane(PlaneKind::Overlay, Some(0), &formats),
            plane(PlaneKind::Primary, Some(1), &formats),
            plane(PlaneKind::Overlay, Some(2), &formats),
        ];
        let got = climb_down(&planes, |_| Ok(())).unwrap();
        assert_eq!((got.base, got.picture, got.mask), (2, Some(3), Some(0)));
    }

    #[test]
    fn refusals_name_every_rung() {
        let refusals = climb_down(&vc4(), |_| Err("EACCES".to_owned())).unwrap_err();
        assert_eq!(refusals.len(), 3);
        assert!(refusals.iter().all(|refusal| refusal.ends_with("EACCES")), "{refusals:?}");
        let none = climb_down(&[plane(PlaneKind::Primary, None, &[RGB565])], |_| Ok(()));
        assert!(none.unwrap_err()[2].contains("has not the planes"));
    }
}

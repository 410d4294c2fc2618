//! Exactly those GPUs and instances that somebody names.

use super::part::instances;
use super::{Row, Unit, Unmet, tell};
use crate::gpu::overview::{self, InstanceRow, Overview, Standing, Usage};

/// What a name can mean.
#[derive(Clone, Copy)]
enum Place<'a> {
    Gpu(&'a Row),
    Instance(&'a InstanceRow),
}

/// These, in this order.
pub(crate) fn choose(names: &[String], seen: &Overview) -> Result<Vec<Unit>, Unmet> {
    let mut units: Vec<Unit> = Vec::new();
    for name in names {
        let place = find(name, seen)?;
        let unit = free(place, seen)?;
        if let Some(nth) = units.iter().position(|other| other.slot == unit.slot) {
            let message = format!("`{}` and `{name}` are both {}", names[nth], place.titled());
            return Err(Unmet { message, help: "name it once".into() });
        }
        units.push(unit);
    }
    Ok(units)
}

/// A whole UUID means itself, a beginning all that begin so.
fn find<'a>(name: &str, seen: &'a Overview) -> Result<Place<'a>, Unmet> {
    let gpus = seen.gpus.iter().map(Place::Gpu);
    let places: Vec<_> = gpus.chain(instances(seen).map(|(.., one)| Place::Instance(one))).collect();
    let exact = places.iter().find(|place| place.uuid().is_some_and(|uuid| uuid.eq_ignore_ascii_case(name)));
    let found: Vec<_> = match exact {
        Some(place) => vec![*place],
        None => places.iter().filter(|place| place.is(name)).copied().collect(),
    };
    match found[..] {
        [place] => Ok(place),
        [] => Err(Unmet {
            message: format!("no GPU or MIG instance of this machine is `{name}`"),
            help: format!("there are: {}", tell::list(places.iter().map(|place| place.told()))),
        }),
        _ => Err(Unmet {
            message: format!("`{name}` is the beginning of several"),
            help: format!(
                "write more of it, or its number: {}",
                tell::list(found.iter().map(|place| place.told()))
            ),
        }),
    }
}

fn free(place: Place<'_>, seen: &Overview) -> Result<Unit, Unmet> {
    let (found, usage) = match place {
        Place::Gpu(row) if row.usage.standing == Standing::Divided => {
            let parts = row.instances.iter().map(|one| Place::Instance(one).told());
            return Err(Unmet {
                message: format!("GPU {} is divided into MIG instances and not given as a whole", row.index),
                help: format!("name one of its instances: {}", tell::list(parts)),
            });
        }
        Place::Gpu(row) => (row.free(), &row.usage),
        Place::Instance(one) => (one.free(), &one.usage),
    };
    found.ok_or_else(|| {
        let titled = place.titled();
        let message = match usage.standing {
            Standing::Held => format!("{titled} is held by {}", tell::holders(usage)),
            _ => tell::taken(titled.clone(), usage)
                .unwrap_or_else(|| format!("{titled} does not say what share of a GPU it is")),
        };
        Unmet { message, help: tell::instead(seen, [usage], None) }
    })
}

impl Place<'_> {
    fn uuid(&self) -> Option<&str> {
        match self {
            Self::Gpu(row) => row.uuid.as_deref(),
            Self::Instance(one) => one.uuid.as_deref(),
        }
    }

    fn slot(&self) -> String {
        match self {
            Self::Gpu(row) => row.index.to_string(),
            Self::Instance(one) => one.slot.clone(),
        }
    }

    fn titled(&self) -> String {
        match self {
            Self::Gpu(row) => format!("GPU {}", row.index),
            Self::Instance(one) => format!("instance {}", one.slot),
        }
    }

    fn usage(&self) -> &Usage {
        match self {
            Self::Gpu(row) => &row.usage,
            Self::Instance(one) => &one.usage,
        }
    }

    fn is(&self, name: &str) -> bool {
        let numbers =
            |text: &str| text.split(['.', ':']).map(|word| word.parse().ok()).collect::<Vec<Option<u32>>>();
        let slot = numbers(&self.slot());
        numbers(name) == slot || self.uuid().is_some_and(|uuid| overview::begins(uuid, name))
    }

    /// `0 (GPU-1f…, free)`, `0.1 (1g.10gb, free)`.
    fn told(&self) -> String {
        let what = match self {
            Self::Gpu(row) => row.uuid.as_deref().map(|uuid| uuid.get(..12).unwrap_or(uuid)),
            Self::Instance(one) => one.profile.as_deref(),
        };
        let standing = match self.usage().standing {
            Standing::Free => "free",
            Standing::Divided => "divided",
            _ => "not free",
        };
        format!("{} ({}, {standing})", self.slot(), what.unwrap_or("?"))
    }
}

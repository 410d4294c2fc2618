//! Sets of packages that go by one name.

use super::Packages;

/// `use_case:` names and the Python packages that they stand for.
const USE_CASES: [(&str, &[&str]); 9] = [
    ("audio", &["audiomentations", "librosa", "soundfile"]),
    ("cv", &["albumentations", "kornia", "opencv-python-headless", "timm", "ultralytics"]),
    ("datascience", &["matplotlib", "pandas", "scikit-learn", "scipy", "seaborn"]),
    (JUPYTER, &["ipykernel", "ipywidgets", "jupyterlab", "notebook"]),
    ("llm", &["bitsandbytes", "einops", "langchain", "vllm"]),
    ("ml", &["catboost", "lightgbm", "optuna", "shap", "xgboost"]),
    (
        "nlp",
        &[
            "accelerate",
            "datasets",
            "evaluate",
            "peft",
            "safetensors",
            "sentencepiece",
            "tokenizers",
            "transformers",
        ],
    ),
    ("rl", &["gymnasium", "stable-baselines3"]),
    ("ts", &["darts", "prophet", "statsmodels"]),
];

const JUPYTER: &str = "jupyter";

/// The one set of Debian packages.
const SYSTEM: (&str, &[&str]) = ("system", &["curl", "git", "htop", "vim", "wget"]);

/// What `jupyter: true` adds: JupyterLab, and the kernel through which a
/// notebook runs in the image's own Python.
pub(crate) fn jupyter_packages() -> Packages {
    use_case(JUPYTER).unwrap_or_default()
}

/// The packages of a use case; `None`: there is none of that name.
pub(crate) fn use_case(name: &str) -> Option<Packages> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    if name == SYSTEM.0 {
        return Some(Packages::new(owned(SYSTEM.1), []));
    }
    let found = USE_CASES.iter().find(|(known, _)| *known == name);
    found.map(|(_, pip)| Packages::new([], owned(pip)))
}

/// The names that [`use_case`] knows.
pub(crate) fn use_cases() -> impl Iterator<Item = &'static str> {
    USE_CASES.iter().map(|(name, _)| *name).chain([SYSTEM.0])
}

//! Sets of Python packages that go by one name.

use super::Packages;

/// `use_case:` names and what they stand for.
const USE_CASES: [(&str, &[&str]); 7] = [
    ("audio", &["audiomentations", "librosa", "soundfile"]),
    ("cv", &["albumentations", "kornia", "opencv-python-headless", "timm", "ultralytics"]),
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

/// What `jupyter: true` adds: JupyterLab, and the kernel through which a
/// notebook runs in the image's own Python.
pub fn jupyter_packages() -> Packages {
    packages(&["ipykernel", "jupyterlab"])
}

/// The packages of a use case; `None`: there is none of that name.
pub fn use_case(name: &str) -> Option<Packages> {
    USE_CASES.iter().find(|(known, _)| *known == name).map(|(_, pip)| packages(pip))
}

/// The names that [`use_case`] knows, sorted.
pub fn use_cases() -> impl Iterator<Item = &'static str> {
    USE_CASES.iter().map(|(name, _)| *name)
}

fn packages(pip: &[&str]) -> Packages {
    Packages::new([], pip.iter().map(|&name| name.to_owned()))
}

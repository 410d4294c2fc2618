use super::*;
use crate::names::Login;
use proptest::prelude::*;

/// Owns what `Parts` borrows.
#[derive(Clone, Debug)]
struct Owned {
    dockerfile: String,
    target: Option<String>,
    syntax: Option<String>,
    context: Digest,
    args: BTreeMap<String, String>,
    declared: BTreeSet<String>,
    bases: BTreeMap<String, BaseIdentity>,
    packages: Packages,
    packages_rule: u32,
    account: Account,
    user_rule: u32,
    labels: BTreeMap<String, String>,
    platform: String,
    secrets: BTreeSet<String>,
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

impl Owned {
    fn sample() -> Self {
        Self {
            dockerfile: "FROM a\n".into(),
            target: None,
            syntax: None,
            context: Digest::of(b"tree"),
            args: map(&[("A", "1"), ("B", "2"), ("UNUSED", "3")]),
            declared: ["A", "B", "C"].map(String::from).into(),
            bases: [("BASE_IMAGE".to_owned(), BaseIdentity::ParentRecipe(Digest::of(b"parent")))].into(),
            packages: Packages { apt: vec!["ffmpeg".into()], pip: vec!["pandas>=1.5".into(), "timm".into()] },
            packages_rule: 1,
            account: Account {
                login: Login::new("h.baker@x"),
                name: "h-baker".into(),
                uid: 1722830498,
                gid: 1722830498,
                shell: "/bin/bash".into(),
                sudo: false,
            },
            user_rule: 1,
            labels: map(&[("ds01.image", "vision"), ("ds01.managed", "true")]),
            platform: "linux/amd64".into(),
            secrets: ["token".to_owned()].into(),
        }
    }

    fn recipe(&self) -> Recipe {
        Recipe::new(&Parts {
            dockerfile: Some(DockerfilePart {
                bytes: self.dockerfile.as_bytes(),
                target: self.target.as_deref(),
                syntax: self.syntax.as_deref(),
            }),
            context: Some(&self.context),
            args: &self.args,
            declared_args: &self.declared,
            bases: &self.bases,
            packages: Some(PackagesPart { packages: &self.packages, rule: self.packages_rule }),
            user: Some(UserPart { account: &self.account, rule: self.user_rule }),
            labels: &self.labels,
            platform: &self.platform,
            secrets: &self.secrets,
        })
    }
}

type Change = (Ingredient, fn(&mut Owned));

/// Single changes, each with the ingredient it is of.
const CHANGES: &[Change] = &[
    (Ingredient::Dockerfile, |o| o.dockerfile.push('\n')),
    (Ingredient::Dockerfile, |o| o.target = Some("final".into())),
    (Ingredient::Dockerfile, |o| o.syntax = Some("docker/dockerfile:1".into())),
    (Ingredient::Context, |o| o.context = Digest::of(b"other")),
    (Ingredient::Args, |o| drop(o.args.insert("A".into(), "9".into()))),
    (Ingredient::Args, |o| drop(o.args.insert("C".into(), String::new()))),
    (Ingredient::Args, |o| drop(o.args.remove("B"))),
    (Ingredient::Base, |o| {
        drop(o.bases.insert("debian:12".into(), BaseIdentity::ManifestDigest("sha256:1".into())))
    }),
    (Ingredient::Base, |o| {
        drop(o.bases.insert("BASE_IMAGE".into(), BaseIdentity::LocalImageId(ImageId::new("sha256:2"))));
    }),
    (Ingredient::Packages, |o| o.packages.apt.push("git".into())),
    (Ingredient::Packages, |o| o.packages.pip[0] = "pandas>=2".into()),
    (Ingredient::Packages, |o| {
        let moved = o.packages.apt.remove(0);
        o.packages.pip.push(moved);
    }),
    (Ingredient::Packages, |o| o.packages_rule = 2),
    (Ingredient::User, |o| o.account.uid = 7),
    (Ingredient::User, |o| o.account.gid = 7),
    (Ingredient::User, |o| o.account.name = "other".into()),
    (Ingredient::User, |o| o.account.login = Login::new("h.baker@y")),
    (Ingredient::User, |o| o.account.shell = "/bin/zsh".into()),
    (Ingredient::User, |o| o.account.sudo = true),
    (Ingredient::User, |o| o.user_rule = 2),
    (Ingredient::Labels, |o| drop(o.labels.insert("ds01.project".into(), "x".into()))),
    (Ingredient::Platform, |o| o.platform = "linux/arm64".into()),
    (Ingredient::Secrets, |o| o.secrets.extend(["other".to_owned()])),
];

#[test]
fn a_single_change_changes_its_ingredient_alone_and_the_digest() {
    let before = Owned::sample();
    let old = before.recipe();
    let mut digests = BTreeSet::from([old.digest()]);
    for (index, (ingredient, change)) in CHANGES.iter().enumerate() {
        let mut after = before.clone();
        change(&mut after);
        let new = after.recipe();
        let changed: Vec<_> = compare(&old.recorded(), &new).into_iter().map(|c| c.ingredient).collect();
        assert_eq!(changed, [*ingredient], "change {index}");
        let explained: Vec<_> = explain(&old, &new).into_iter().map(|c| c.ingredient).collect();
        assert_eq!(explained, [*ingredient], "change {index}");
        assert!(digests.insert(new.digest()), "change {index}");
    }
}

#[test]
fn what_has_no_effect_does_not_count() {
    let before = Owned::sample();
    let mut after = before.clone();
    after.args.insert("UNUSED".into(), "other".into());
    after.declared.insert("DECLARED_ONLY".into());
    after.labels.insert("ds01.build.recipe".into(), "f".repeat(64));
    after.labels.insert("org.opencontainers.image.base.digest".into(), "sha256:1".into());
    assert_eq!(before.recipe(), after.recipe());
    assert_eq!(before.recipe().digest(), after.recipe().digest());
}

#[test]
fn the_rule_for_packages_counts_only_where_there_are_packages() {
    let mut before = Owned::sample();
    before.packages = Packages::default();
    let mut after = before.clone();
    after.packages_rule = 2;
    assert_eq!(before.recipe().digest(), after.recipe().digest());
}

#[test]
fn a_recipe_keeps_its_digest_from_release_to_release() {
    // When this has to change, SCHEME has to change with it.
    let recipe = Owned::sample().recipe();
    insta::assert_snapshot!(format!(
        "scheme {SCHEME}\n{}\n{}\n{}",
        recipe.digest(),
        recipe.short(),
        recipe.ingredients_label().replace(',', "\n")
    ));
}

#[test]
fn the_label_is_read_back() {
    let recipe = Owned::sample().recipe();
    let label = recipe.ingredients_label();
    assert!(label.starts_with("dockerfile=") && label.split(',').count() == 9);
    let recorded = Recorded::parse(&label).unwrap();
    assert_eq!(recorded, recipe.recorded());
    assert!(compare(&recorded, &recipe).is_empty());
    for broken in ["", "x", "a=,b=1", "=1", "a=zz"] {
        assert!(Recorded::parse(broken).is_none(), "{broken}");
    }
}

#[test]
fn a_recipe_is_the_same_after_it_was_kept_in_a_record() {
    let recipe = Owned::sample().recipe();
    let text = serde_json::to_string(&recipe).unwrap();
    let kept: Recipe = serde_json::from_str(&text).unwrap();
    assert_eq!((kept.digest(), &kept), (recipe.digest(), &recipe));
    let older: Recipe =
        serde_json::from_str(r#"{"ingredients": {"platform": {"platform": "linux/amd64"}}}"#).unwrap();
    assert!(explain(&older, &recipe).iter().all(|c| c.old == "none"));
    assert_eq!(explain(&older, &recipe).len(), 8);
}

#[test]
fn an_ingredient_that_an_old_label_lacks_was_none() {
    let recipe = Owned::sample().recipe();
    let label = recipe.ingredients_label();
    let (first, rest) = label.split_once(',').unwrap();
    let changed = compare(&Recorded::parse(&format!("{rest},later=12ab")).unwrap(), &recipe);
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].old, "none");
    assert_eq!(format!("dockerfile={}", changed[0].new), first);
}

#[test]
fn a_change_is_shown_with_its_old_and_its_new_value() {
    let old = Owned::sample();
    let mut new = old.clone();
    new.args.insert("A".into(), "9".into());
    new.bases.insert("BASE_IMAGE".into(), BaseIdentity::ParentRecipe(Digest::of(b"rebuilt")));
    new.packages.pip[0] = "pandas>=2".into();
    new.labels.remove("ds01.managed");
    let lines: Vec<String> = explain(&old.recipe(), &new.recipe()).iter().map(Changed::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

proptest! {
    #[test]
    fn order_is_irrelevant(
        mut apt in prop::collection::vec("[a-z]{1,4}", 0..6),
        pairs in prop::collection::btree_map("[A-C]{1,2}", "[a-z]{0,3}", 0..6),
    ) {
        let mut before = Owned::sample();
        before.declared = pairs.keys().cloned().collect();
        before.args = pairs.clone();
        before.packages.apt = apt.clone();
        let mut after = before.clone();
        apt.reverse();
        after.packages.apt = apt;
        after.packages.pip.reverse();
        after.args = pairs.into_iter().rev().collect();
        prop_assert_eq!(before.recipe().digest(), after.recipe().digest());
    }

    #[test]
    fn args_that_differ_give_digests_that_differ(
        one in prop::collection::btree_map("[A-B=,]{1,3}", "[a-b=,]{0,3}", 0..4),
        two in prop::collection::btree_map("[A-B=,]{1,3}", "[a-b=,]{0,3}", 0..4),
    ) {
        let recipe = |args: &BTreeMap<String, String>| {
            let mut owned = Owned::sample();
            owned.declared = args.keys().cloned().collect();
            owned.args = args.clone();
            owned.recipe()
        };
        prop_assert_eq!(recipe(&one).digest() == recipe(&two).digest(), one == two);
    }
}

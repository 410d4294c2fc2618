use super::*;
use crate::dockerfile::context::Listing;
use crate::model::names::Login;
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
    stamp: Option<&'static str>,
    tag_prefix: Option<&'static str>,
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
            packages: Packages::new(["ffmpeg".into()], ["pandas>=1.5".into(), "timm".into()]),
            packages_rule: 1,
            account: Account {
                login: Login::new("h.baker@x"),
                name: "h-baker".into(),
                uid: 1722830498,
                gid: 1722830498,
                shell: "/bin/bash".into(),
                sudo: false,
                jupyter: None,
            },
            user_rule: 1,
            labels: map(&[("ds01.image", "vision"), ("ds01.managed", "true")]),
            platform: "linux/amd64".into(),
            secrets: ["token".to_owned()].into(),
            stamp: None,
            tag_prefix: None,
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
            refresh: RefreshPart { stamp: self.stamp, tag_prefix: self.tag_prefix },
        })
    }
}

/// What a later run finds out from the labels of an image of `old`.
fn changes(old: &Recipe, new: &Recipe) -> Vec<IngredientChange> {
    let digests = IngredientDigests::parse(&old.ingredients_label()).unwrap();
    let written = RecipeRecord::of(old);
    let before =
        PreviousBuild { digests: Some(&digests), fields: Some(&written), ..PreviousBuild::default() };
    compare(before, NextBuild { recipe: new, files: None, dockerfile: None })
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
    (Ingredient::Refreshed, |o| o.stamp = Some("2026-11-30")),
    (Ingredient::Refreshed, |o| o.tag_prefix = Some("2026.4")),
];

#[test]
fn a_single_change_changes_its_ingredient_alone_and_the_digest() {
    let before = Owned::sample();
    let old = before.recipe();
    let mut digests = BTreeSet::from([old.digest().clone()]);
    for (index, (ingredient, change)) in CHANGES.iter().enumerate() {
        let mut after = before.clone();
        change(&mut after);
        let new = after.recipe();
        let changed: Vec<_> = changes(&old, &new).into_iter().map(|c| c.ingredient).collect();
        assert_eq!(changed, [*ingredient], "change {index}");
        assert!(!changes(&old, &new)[0].details.is_empty(), "change {index} is not told");
        assert!(digests.insert(new.digest().clone()), "change {index}");
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
    let ingredient_digests = IngredientDigests::parse(&label).unwrap();
    assert_eq!(ingredient_digests, recipe.ingredient_digests());
    for broken in ["", "x", "a=,b=1", "=1", "a=zz"] {
        assert!(IngredientDigests::parse(broken).is_none(), "{broken}");
    }
}

#[test]
fn what_is_written_is_read_back_and_labels_stand_elsewhere() {
    let files = Listing::from([("bin/run".to_owned(), "0123456789ab+x".to_owned())]);
    let recipe = Owned::sample().recipe();
    let written = RecipeRecord::of(&recipe);
    let label = written.to_label(Some(&files));
    assert!(!label.contains("ds01.managed"), "{label}");
    let (mut read, read_files) = RecipeRecord::from_label(&label).unwrap();
    assert_eq!(read.fields(Ingredient::Labels), None);
    read.supply(Ingredient::Labels, recipe.fields(Ingredient::Labels).clone());
    assert_eq!((read, read_files), (written, Some(files)));
    assert!(RecipeRecord::from_label("{}").is_none() && RecipeRecord::from_label("").is_none());
}

#[test]
fn what_does_not_fit_is_left_out_the_largest_first() {
    let mut owned = Owned::sample();
    let files = (0..400).map(|n| (format!("data/file-{n}"), "0123456789ab".to_owned())).collect();
    let label = RecipeRecord::of(&owned.recipe()).to_label(Some(&files));
    assert!(label.len() < 1000 && RecipeRecord::from_label(&label).unwrap().1.is_none(), "{label}");
    owned.packages.pip = (0..500).map(|n| format!("package-{n}==1.0")).collect();
    let label = RecipeRecord::of(&owned.recipe()).to_label(Some(&files));
    let (read, _) = RecipeRecord::from_label(&label).unwrap();
    assert!(label.len() <= RecipeRecord::MOST);
    assert_eq!(read.fields(Ingredient::Packages), None);
    assert!(read.fields(Ingredient::Args).is_some_and(|args| args.len() == 2));
}

#[test]
fn an_ingredient_that_an_old_label_lacks_was_none() {
    let recipe = Owned::sample().recipe();
    let label = recipe.ingredients_label();
    let (first, rest) = label.split_once(',').unwrap();
    let old = IngredientDigests::parse(&format!("{rest},later=12ab")).unwrap();
    let before = PreviousBuild { digests: Some(&old), ..PreviousBuild::default() };
    let changed = compare(before, NextBuild { recipe: &recipe, files: None, dockerfile: None });
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].old, "none");
    assert_eq!(format!("dockerfile={}", changed[0].new), first);
}

#[test]
fn a_change_is_shown_with_its_old_and_its_new_value() {
    let old = Owned::sample();
    let mut new = old.clone();
    new.args.insert("A".into(), "9".into());
    new.args.insert("C".into(), "x\ny".into());
    new.bases.insert("BASE_IMAGE".into(), BaseIdentity::ParentRecipe(Digest::of(b"rebuilt")));
    new.packages.pip = vec!["Pandas[x]>=2".into(), "torch".into(), "timm".into()];
    new.packages.apt.clear();
    new.labels.remove("ds01.managed");
    new.secrets.insert("netrc".into());
    let lines: Vec<String> =
        changes(&old.recipe(), &new.recipe()).iter().map(IngredientChange::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_refresh_is_told_by_its_stamp_and_by_the_one_before() {
    let told = |old: &Owned, new: &Owned| {
        let [change] = changes(&old.recipe(), &new.recipe()).try_into().unwrap();
        IngredientChange::to_string(&change)
    };
    let never = Owned::sample();
    let once = Owned { stamp: Some("2026-11-30"), ..never.clone() };
    let twice = Owned { stamp: Some("2026-11-30.2"), ..never.clone() };
    let quarter = Owned { tag_prefix: Some("2026.4"), ..once.clone() };
    let next = Owned { tag_prefix: Some("2027.1"), ..twice.clone() };
    assert_eq!(told(&never, &once), "refreshed 2026-11-30");
    assert_eq!(told(&once, &twice), "refreshed 2026-11-30 → 2026-11-30.2");
    assert_eq!(told(&once, &never), "refreshed 2026-11-30 removed");
    assert_eq!(told(&once, &quarter), "refreshed by tag.prefix 2026.4");
    assert_eq!(told(&quarter, &next), "refreshed 2026-11-30 → 2026-11-30.2, by tag.prefix 2026.4 → 2027.1");
    let (unknown, digests) = (PreviousBuild::default(), once.recipe().ingredient_digests());
    let changed = compare(
        PreviousBuild { digests: Some(&digests), ..unknown },
        NextBuild { recipe: &twice.recipe(), files: None, dockerfile: None },
    );
    let short = |recipe: Recipe| recipe.ingredient_digests().get("refreshed").unwrap().to_owned();
    let (old, new) = (short(once.recipe()), short(twice.recipe()));
    assert_eq!(changed[0].to_string(), format!("refreshed {old} → {new}"));
}

#[test]
fn files_and_lines_are_shown_where_they_are_known() {
    let (old, mut new) = (Owned::sample(), Owned::sample());
    new.context = Digest::of(b"other");
    new.dockerfile = "FROM a\nRUN b\n".into();
    let files = |pairs: &[(&str, &str)]| map(pairs);
    let was = files(&[("bin/old", "1f"), ("bin/run", "2f+x"), ("same", "3f"), ("tmp", "dir")]);
    let is = files(&[("bin/new", "1f"), ("bin/run", "2f"), ("same", "3f"), ("tmp/x", "4f")]);
    let (old, new) = (old.recipe(), new.recipe());
    let (digests, written) = (old.ingredient_digests(), RecipeRecord::of(&old));
    let before = PreviousBuild {
        digests: Some(&digests),
        fields: Some(&written),
        files: Some(&was),
        dockerfile: Some("FROM a\n"),
    };
    let now = NextBuild { recipe: &new, files: Some(&is), dockerfile: Some("FROM a\nRUN b\n") };
    let changed = compare(before, now);
    insta::assert_snapshot!(changed.iter().map(|c| format!("{c}\n")).collect::<String>(), @r"
    dockerfile changed: line 2: RUN b added
    context changed: bin/new 1f added, bin/old 1f removed and 2 more
    ");
    let details: Vec<_> = changed[1].details.iter().map(Detail::to_string).collect();
    insta::assert_snapshot!(details.join("\n"), @r"
    bin/new 1f added
    bin/old 1f removed
    bin/run 2f+x → 2f
    tmp/x 4f added
    ");
}

#[test]
fn the_value_of_a_secret_is_nowhere_and_still_counts() {
    let with = |value: &str| {
        let mut owned = Owned::sample();
        owned.declared.extend(["HF_TOKEN".to_owned(), "Api-Key".to_owned()]);
        owned.args.insert("HF_TOKEN".into(), value.into());
        owned.args.insert("Api-Key".into(), value.into());
        owned.recipe()
    };
    let (old, new) = (with("hunter2"), with("hunter3"));
    assert_ne!(old.digest(), new.digest());
    let changed = changes(&old, &new);
    let texts = [
        serde_json::to_string(&changed).unwrap(),
        changed[0].to_string(),
        RecipeRecord::of(&new).to_label(None),
        serde_json::to_string(&RecipeRecord::of(&new)).unwrap(),
        new.without_secrets("RUN login hunter3: failed"),
    ];
    assert_eq!(changed[0].details.len(), 2);
    for text in texts {
        assert!(text.contains("sha256:") && !text.contains("hunter"), "{text}");
    }
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
        prop_assert_eq!(before.recipe().digest().clone(), after.recipe().digest().clone());
    }

    #[test]
    fn a_changed_arg_is_explained_by_its_name_and_both_its_values(
        name in "[A-Z_]{1,12}", old in "[a-z0-9.]{4,12}", new in "[a-z0-9.]{4,12}",
    ) {
        prop_assume!(old != new);
        let recipe = |value: &str| {
            let mut owned = Owned::sample();
            owned.declared.insert(name.clone());
            owned.args.insert(name.clone(), value.to_owned());
            owned.recipe()
        };
        let changed = changes(&recipe(&old), &recipe(&new));
        prop_assert_eq!(changed.len(), 1);
        let IngredientChange { ingredient, details, .. } = &changed[0];
        prop_assert_eq!((*ingredient, details.len(), &details[0].what), (Ingredient::Args, 1, &name));
        let shown = (details[0].old.as_deref(), details[0].new.as_deref());
        if is_secret(&name, "") {
            let json = serde_json::to_string(&changed).unwrap();
            prop_assert!(!json.contains(&format!("\"{old}\"")) && !json.contains(&format!("\"{new}\"")), "{}", json);
        } else {
            prop_assert_eq!(shown, (Some(old.as_str()), Some(new.as_str())));
        }
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

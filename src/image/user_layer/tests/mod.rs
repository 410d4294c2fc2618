pub(super) mod memory;
mod properties;

use super::*;
use crate::model::names::Login;
use memory::{MemoryBase, account, busybox, debian, ubuntu};

/// A layer as text: each node, and of files the lines that the base lacks (+)
/// and those that go (-).
fn show(base: &MemoryBase, account: &Account) -> String {
    let layer = match layer(&base.facts(account), account) {
        Ok(layer) => layer,
        Err(refusal) => return format!("refused: {}\nhelp: {}\n", refusal.message, refusal.help),
    };
    let mut text = String::new();
    for node in &layer.nodes {
        let slash = if node.kind == FileKind::Dir { "/" } else { "" };
        text += &format!("{:04o} {}:{} {}{slash}\n", node.mode, node.uid, node.gid, node.path);
        if let FileKind::File(bytes) = &node.kind {
            let new = String::from_utf8(bytes.clone()).unwrap();
            let old = base.text(&node.path).unwrap_or_default();
            let lines = |sign: &str, of: &str, other: &str| -> String {
                let gone = of.lines().filter(|line| !other.lines().any(|o| o == *line));
                gone.map(|line| format!("     {sign} {line}\n")).collect()
            };
            text += &lines("-", &old, &new);
            text += &lines("+", &new, &old);
        }
    }
    text.extend(layer.notes.iter().map(|note| format!("note: {note}\n")));
    base.baked(account);
    text
}

fn with_sudo(account: Account) -> Account {
    Account { sudo: true, ..account }
}

#[test]
fn a_person_with_a_campus_uid_on_debian() {
    insta::assert_snapshot!(show(&debian(), &account("h-baker", 1_722_830_498, 1_722_830_498)));
}

#[test]
fn the_highest_uid_on_debian() {
    let base = debian();
    let person = account("top", 4_294_967_294, 4_294_967_294);
    insta::assert_snapshot!(show(&base, &person));
    assert_eq!(base.baked(&person).text("/etc/subuid").unwrap(), "", "its range would not fit");
}

#[test]
fn ubuntus_own_account_is_renamed() {
    insta::assert_snapshot!(show(&ubuntu(), &account("h-baker", 1000, 1000)));
}

#[test]
fn a_base_without_shadow_skeleton_and_last_newline() {
    insta::assert_snapshot!(show(&busybox(), &account("h-baker", 2000, 100)));
}

#[test]
fn sudo_is_a_group_and_a_rule_file() {
    let base = debian().file("/usr/bin/sudo", "", 0o4755, 0, 0).dir("/etc/sudoers.d", 0o750, 0, 0);
    insta::assert_snapshot!(show(&base, &with_sudo(account("h-baker", 2000, 2000))));
}

#[test]
fn a_base_with_wheel_only_uses_wheel() {
    let base = debian()
        .file("/usr/bin/sudo", "", 0o4755, 0, 0)
        .file("/etc/group", "root:x:0:\nwheel:x:10:zed,amy\n", 0o644, 0, 0)
        .baked(&with_sudo(account("h-baker", 2000, 2000)));
    assert!(base.text("/etc/group").unwrap().contains("wheel:x:10:zed,amy,h-baker\n"));
}

#[test]
fn sudo_in_a_base_without_it_is_refused_with_the_package_to_add() {
    insta::assert_snapshot!(show(&debian(), &with_sudo(account("h-baker", 2000, 2000))));
}

#[test]
fn sudo_is_brought_to_a_base_that_lacks_it_and_has_apt() {
    let plain = account("h-baker", 5000, 5000);
    let person = with_sudo(plain.clone());
    let apt = debian().file("/usr/bin/apt-get", "", 0o755, 0, 0);
    let there = apt.clone().file("/usr/bin/sudo", "", 0o4755, 0, 0);
    assert_eq!(lacks_sudo(&apt.facts(&person), &person), Ok(true));
    assert_eq!(lacks_sudo(&there.facts(&person), &person), Ok(false));
    assert_eq!(lacks_sudo(&debian().facts(&plain), &plain), Ok(false));
    let refusal = lacks_sudo(&debian().facts(&person), &person).unwrap_err();
    assert_eq!(
        format!("{}\n{}", refusal.message, refusal.help),
        "`h-baker` is to have sudo, and the base has neither `/usr/bin/sudo` nor `/usr/bin/apt-get` to install it with\n\
         build on an image that has sudo, or drop `sudo: true`"
    );
}

#[test]
fn a_rule_that_the_base_has_for_the_account_ends_with_the_right() {
    let person = account("h-baker", 5000, 5000);
    let base = debian()
        .dir("/etc/sudoers.d", 0o750, 0, 0)
        .file("/etc/sudoers.d/h-baker", "h-baker ALL=(ALL) NOPASSWD: ALL\n", 0o440, 0, 0)
        .file("/etc/sudoers.d/other", "other ALL=(ALL) ALL\n", 0o440, 0, 0)
        .baked(&person);
    assert_eq!(base.text("/etc/sudoers.d/h-baker").unwrap(), "# h-baker has no right to become root\n");
    assert_eq!(base.text("/etc/sudoers.d/other").unwrap(), "other ALL=(ALL) ALL\n");
    assert_eq!(debian().baked(&person).text("/etc/sudoers.d/h-baker"), None);
}

#[test]
fn a_renamed_account_does_not_bring_sudo_along() {
    let base = ubuntu().baked(&account("h-baker", 1000, 1000));
    assert_eq!(base.text("/etc/group").unwrap().lines().nth(2), Some("sudo:x:27:"));
    let base =
        ubuntu().file("/usr/bin/sudo", "", 0o4755, 0, 0).baked(&with_sudo(account("h-baker", 1000, 1000)));
    assert_eq!(base.text("/etc/group").unwrap().lines().nth(2), Some("sudo:x:27:h-baker"));
}

#[test]
fn an_account_next_to_ubuntus_own_leaves_it_alone() {
    let base = ubuntu().baked(&account("h-baker", 1001, 1000));
    let passwd = base.text("/etc/passwd").unwrap();
    assert!(passwd.contains("\nubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/bash\n"));
    assert!(passwd.ends_with("\nh-baker:x:1001:1000:h-baker@example.org:/home/h-baker:/bin/bash\n"));
    assert_eq!(base.text("/etc/group"), ubuntu().text("/etc/group"), "the group is reused");
    assert_eq!(base.text("/etc/subuid").unwrap(), "ubuntu:100000:65536\nh-baker:165536:65536\n");
}

#[test]
fn a_uid_whose_home_holds_files_is_refused_with_both_names() {
    let used = ubuntu().file("/home/ubuntu/thesis.tex", "", 0o644, 1000, 1000);
    let edited = ubuntu().file("/home/ubuntu/.bashrc", "# mine\n", 0o644, 1000, 1000);
    let nested = ubuntu().file("/home/ubuntu/.cache/x", "", 0o644, 1000, 1000);
    let linked = ubuntu().link("/home/ubuntu/data", "/data");
    let person = account("h-baker", 1000, 1000);
    let refusals = [used, edited, nested, linked].map(|base| show(&base, &person));
    insta::assert_snapshot!(refusals.concat());
}

#[test]
fn an_old_home_of_somebody_else_is_not_looked_at() {
    let passwd = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n";
    let base = debian().file("/etc/passwd", passwd, 0o644, 0, 0).baked(&account("h-baker", 1000, 1000));
    assert!(
        base.text("/etc/passwd").unwrap().contains("h-baker:x:1000:1000:h-baker@example.org:/home/h-baker:")
    );
}

#[test]
fn collisions_are_refused() {
    let twins = debian().file("/etc/passwd", "a:x:5000:1::/:\nb:x:5000:1::/:\n", 0o644, 0, 0);
    let taken = debian().dir("/home/h-baker", 0o755, 7, 7).file("/home/h-baker/x", "", 0o644, 7, 7);
    let refusals = [
        show(&ubuntu(), &account("ubuntu", 5000, 5000)),
        show(&debian(), &account("users", 5000, 5000)),
        show(&twins, &account("h-baker", 5000, 5000)),
        show(&taken, &account("h-baker", 5000, 5000)),
        show(&debian().without("/home").link("/home", "var/home"), &account("h-baker", 5000, 5000)),
        show(&debian().file("/workspace", "", 0o644, 0, 0), &account("h-baker", 5000, 5000)),
    ];
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn accounts_that_no_image_may_have_are_refused() {
    let person = |name: &str, shell: &str| Account { shell: shell.into(), ..account(name, 5000, 5000) };
    let uids = [0, 1, 999, 65534, u32::MAX].map(|uid| account("h-baker", uid, 5000));
    let gids = [0, 27, 99, 65534, u32::MAX].map(|gid| account("h-baker", 5000, gid));
    let names = ["root", "", "12345", "-x", "a:b", "a\nb", "a b", "a/b", "..", "ü", &"a".repeat(33)];
    let shells = ["", "bash", "/", "/bin/", "/bin/a:b", "/bin/a\nroot::0:0:::", "/bin/a b"];
    let all = uids.into_iter().chain(gids);
    let all = all.chain(names.map(|name| person(name, "/bin/sh")));
    let all = all.chain(shells.map(|shell| person("h-baker", shell)));
    insta::assert_snapshot!(all.map(|account| show(&debian(), &account)).collect::<String>());
}

#[test]
fn the_ids_next_to_the_refused_ones_are_fine() {
    for (uid, gid) in [(1000, 100), (65533, 65533), (65535, 65535), (u32::MAX - 1, u32::MAX - 1)] {
        debian().baked(&account("h-baker", uid, gid));
    }
}

#[test]
fn a_numeric_login_becomes_an_account_that_is_no_uid() {
    let base =
        debian().baked(&Account { login: Login::new("204214@x"), ..account("u204214", 204_214, 204_214) });
    assert!(base.text("/etc/passwd").unwrap().contains("u204214:x:204214:204214:204214@x:/home/u204214:"));
}

#[test]
fn a_login_that_would_break_a_line_is_left_out() {
    for login in ["a:0:0@x", "a\nroot2::0:0::/:@x", "müller@x", "a,b@x"] {
        let base = debian().baked(&Account { login: Login::new(login), ..account("h-baker", 5000, 5000) });
        assert!(
            base.text("/etc/passwd").unwrap().ends_with("\nh-baker:x:5000:5000::/home/h-baker:/bin/bash\n")
        );
    }
}

#[test]
fn a_home_that_is_the_accounts_own_keeps_its_files() {
    let base = debian()
        .dir("/home/h-baker", 0o700, 5000, 5000)
        .file("/home/h-baker/.profile", "# mine\n", 0o600, 5000, 5000)
        .file("/home/h-baker/.bashrc", "# mine too", 0o600, 5000, 5000)
        .dir("/home/h-baker/.local", 0o700, 5000, 5000);
    insta::assert_snapshot!(show(&base, &account("h-baker", 5000, 5000)));
}

#[test]
fn an_empty_home_of_another_uid_is_taken_over() {
    let base =
        debian().dir("/home/h-baker", 0o700, 0, 0).file("/home/h-baker/.profile", "# profile\n", 0o644, 0, 0);
    let layer = layer(&base.facts(&account("h-baker", 5000, 5000)), &account("h-baker", 5000, 5000)).unwrap();
    let owners = layer.nodes.iter().filter(|node| node.path.starts_with("/home/h-baker"));
    assert!(owners.map(|node| (node.uid, node.gid)).all(|owner| owner == (5000, 5000)));
    assert!(layer.nodes.iter().any(|node| node.path == "/home/h-baker/.profile"));
}

#[test]
fn a_skeleton_with_folders_and_links_is_copied_as_far_as_it_can_be() {
    let base = debian()
        .dir("/etc/skel/.config", 0o700, 0, 0)
        .file("/etc/skel/.config/app.toml", "a = 1\n", 0o600, 0, 0)
        .link("/etc/skel/Public", "/srv/public");
    insta::assert_snapshot!(show(&base, &account("h-baker", 5000, 5000)));
}

#[test]
fn a_base_whose_etc_or_skeleton_is_a_link_is_not_written_through_it() {
    let person = account("h-baker", 5000, 5000);
    let mut facts = debian().facts(&person);
    let folder = facts.files["/etc"].clone();
    // The engine follows links where it is asked for a folder's entries.
    facts
        .files
        .insert("/etc".into(), FileFact { kind: FactKind::Symlink("usr/etc".into()), ..folder.clone() });
    facts.learn("/etc", folder);
    let refusal = layer(&facts, &person).unwrap_err();
    assert_eq!(refusal.message, "`/etc` of the base is a symbolic link to `usr/etc`");
    insta::assert_snapshot!(show(&debian().without("/etc/skel").link("/etc/skel", "/srv/skel"), &person));
}

#[test]
fn names_that_are_not_utf_8_stay_as_they_are() {
    let person = account("h-baker", 5000, 5000);
    let mut facts = debian().facts(&person);
    let bytes = b"root:x:0:0::/root:/bin/sh\nm\xfcller:x:900:900:J\xf6rg M\xfcller,,,:/home/m:/bin/sh";
    let kind = FactKind::File(Some(bytes.to_vec()));
    facts.files.insert("/etc/passwd".into(), FileFact { kind, mode: 0o644, uid: 0, gid: 0 });
    let layer = layer(&facts, &person).unwrap();
    let passwd = layer.nodes.iter().find(|node| node.path == "/etc/passwd").unwrap();
    let own = b"\nh-baker:x:5000:5000:h-baker@example.org:/home/h-baker:/bin/bash\n";
    assert_eq!(passwd.kind, FileKind::File([&bytes[..], own].concat()));
}

#[test]
fn modes_hold_no_bits_that_the_engine_would_drop() {
    let base = debian().dir("/home", 0o2755, 0, 50).file("/etc/skel/tool", "", 0o6755, 0, 0);
    let person = account("h-baker", 5000, 5000);
    let layer = layer(&base.facts(&person), &person).unwrap();
    let mode =
        |path: &str| layer.nodes.iter().find(|node| node.path == path).map(|node| (node.mode, node.gid));
    assert_eq!(mode("/home"), Some((0o755, 50)));
    assert_eq!(mode("/home/h-baker/tool"), Some((0o755, 5000)));
}

#[test]
fn a_shell_that_the_base_lacks_gives_way_to_sh() {
    let person = Account { shell: "/usr/bin/zsh".into(), ..account("h-baker", 5000, 5000) };
    let layer = layer(&debian().facts(&person), &person).unwrap();
    assert_eq!(layer.notes, ["the base has no `/usr/bin/zsh`, so the shell is `/bin/sh`"]);
    assert!(debian().baked(&person).text("/etc/passwd").unwrap().ends_with(":/home/h-baker:/bin/sh\n"));
}

#[test]
fn a_subordinate_range_that_would_overlap_is_not_given() {
    let base = debian().file("/etc/subuid", "other:165000:1000\n", 0o644, 0, 0);
    let baked = base.baked(&account("h-baker", 1001, 5000));
    assert_eq!(baked.text("/etc/subuid"), base.text("/etc/subuid"));
    assert_eq!(baked.text("/etc/subgid").unwrap(), "h-baker:165536:65536\n");
}

#[test]
fn facts_that_were_not_read_are_not_guessed() {
    let person = account("h-baker", 5000, 5000);
    let refusal = layer(&BaseFacts::default(), &person).unwrap_err();
    assert_eq!(refusal.message, "`/bin/bash` of the base was not read");
    let mut facts = debian().facts(&person);
    facts.files.remove("/etc/group");
    assert_eq!(layer(&facts, &person).unwrap_err().message, "`/etc/group` of the base was not read");
}

#[test]
fn facts_of_a_base_serve_all_its_users() {
    let (one, two) = (account("h-baker", 5000, 5000), account("john", 5001, 5001));
    let facts = ubuntu().facts(&one);
    assert_eq!(missing_inputs(&facts, &two), [UserLayerInput::Entries("/home/john".into())]);
}

#[test]
fn the_config_names_the_account_and_its_folders() {
    let config = config(&account("h-baker", 1_722_830_498, 100));
    assert_eq!(config.user.as_deref(), Some("1722830498:100"));
    let env: Vec<_> = config.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["HOME=/home/h-baker", "PIP_BREAK_SYSTEM_PACKAGES=1"]);
    assert_eq!(config.path_first, ["/home/h-baker/.local/bin"]);
    assert_eq!(config.workdir.as_deref(), Some("/workspace"));
}

#[test]
fn an_image_that_is_not_as_it_should_be_is_found_out() {
    let person = with_sudo(account("h-baker", 5000, 5000));
    let base = debian().file("/usr/bin/sudo", "", 0o4755, 0, 0).baked(&person);
    let passwd = base.text("/etc/passwd").unwrap();
    let broken = [
        base.clone().without("/etc/passwd"),
        base.clone().file("/etc/passwd", &passwd.replace("h-baker:x", "baker:x"), 0o644, 0, 0),
        base.clone().file("/etc/passwd", &passwd.replace(":5000:5000:", ":5000:0:"), 0o644, 0, 0),
        base.clone().file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0o644, 0, 0),
        base.clone().file("/etc/group", "root:x:0:\n", 0o644, 0, 0),
        base.clone().file("/etc/shadow", "root:*:::::::\n", 0o640, 0, 42),
        base.clone().dir("/home/h-baker", 0o755, 0, 0),
        base.clone().without("/home/h-baker/.local/bin"),
        base.clone().file("/workspace", "", 0o644, 5000, 5000),
        base.clone().without("/etc/sudoers.d/h-baker"),
        base.clone().file("/etc/sudoers.d/h-baker", "", 0o644, 0, 0),
        base.clone().file("/etc/sudoers.d/h-baker", "", 0o440, 5000, 5000),
    ];
    let faults = broken.map(|disk| disk.verified(&person).expect_err("a fault"));
    insta::assert_snapshot!(faults.join("\n"));
}

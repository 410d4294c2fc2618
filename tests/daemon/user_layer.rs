//! The user layer in bases of each kind: built by the program, then looked at
//! from inside as its person would.
//!
//! Ubuntu's archive cannot be had everywhere, so a Debian with exactly the
//! account that Ubuntu's base has since 2023 stands in for it.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::Command;

use crate::client::{docker, inspect};
use crate::stack::{BASE, Stack, image_id};

const DEBIAN: &str = "ds01-quickstart/debian:bookworm";
const CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What Ubuntu 24.04 has, made as Ubuntu makes it.
const UBUNTU: &str = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n\
    RUN useradd --no-log-init -m -u 1000 -U -c Ubuntu -s /bin/bash -G adm,cdrom,sudo,dip,plugdev ubuntu\n";
const WITHOUT_SUDO: &str =
    "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN SUDO_FORCE_REMOVE=yes dpkg --purge sudo\n";
const ODD: &str = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY etc /etc\n";

/// A stack with these images, and people by login: uid, gid, more.
fn stack(images: &[&str], people: &[(&str, u32, u32, &str)]) -> Stack {
    let stack = Stack::new();
    let image = |name: &&str| {
        let base = if *name == "odd" { "busybox" } else { "debian" };
        format!("  {name}:\n    image_name: {}\n    base: {base}\n", stack.repository(name))
    };
    let images: String = images.iter().map(image).collect();
    let users: String = people
        .iter()
        .map(|(login, uid, gid, more)| format!("  \"{login}\": {{uid: {uid}, gid: {gid}{more}}}\n"))
        .collect();
    stack.write(
        "spec.yml",
        format!(
            "version: 1\ntag: {{prefix: \"t\"}}\nbases:\n  busybox: {{image: \"{BASE}\"}}\n  \
             debian: {{image: \"{DEBIAN}\"}}\nimages:\n{images}include: [projects/*.yml]\nusers:\n{users}"
        ),
    );
    stack.write("images/ubuntu/Dockerfile", UBUNTU);
    stack.write("images/bare/Dockerfile", WITHOUT_SUDO);
    stack.write("images/odd/Dockerfile", ODD);
    // No last newline, a name that is no UTF-8, a group under the campus gid;
    // no shadow, no skeleton.
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nkept:x:1005:1005:J\xf6rg M\xfcller:/home/kept:/bin/sh";
    stack.write("images/odd/etc/passwd", passwd);
    stack.write("images/odd/etc/group", "root:x:0:\nkept:x:1005:\ncampus:x:1722830498:kept");
    stack.write("images/odd/etc/subuid", "kept:100000:65536\n");
    stack
}

/// A project's name; it ends in the stack's id, so that its image is removed.
fn project(stack: &Stack, name: &str, login: &str, image: &str) -> String {
    let name = format!("{name}-{}", stack.id);
    let text = format!("{name}:\n  user: \"{login}\"\n  image: {image}\n");
    stack.write(&format!("projects/{name}.yml"), text);
    name
}

fn layers(image: &str) -> Vec<String> {
    serde_json::from_str(&inspect(image, "{{json .RootFS.Layers}}")).unwrap()
}

/// `docker run` of a script, with these options; what it wrote.
fn inside(image: &str, options: &[&str], script: &str) -> String {
    let head = ["run", "--rm", "--network=none"];
    docker(&[&head, options, &[image, "sh", "-ec", script]].concat())
}

/// Lines `key=value` that a script wrote.
fn told(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once('=')).collect()
}

const LOOK: &str = r#"
    echo "whoami=$(whoami)"
    echo "id=$(id 2>&1)"
    echo "groups=$(id -nG $(whoami)) "
    echo "home=$HOME"
    echo "folder=$(pwd)"
    echo "path=$PATH"
    echo "entry=$(grep "^$(whoami):" /etc/passwd | cut -d: -f3,4,6)"
    echo "login=$(env -i HOME=$HOME sh -lc 'cd; echo $HOME $PATH' 2>&1)"
    echo "logs=$(stat -c %s:%b /var/log/lastlog /var/log/faillog 2>/dev/null | tr '\n' ' ')"
    echo "rules=$(ls -A /etc/sudoers.d 2>/dev/null | tr '\n' ' ')"
    echo "sudo=$(sudo -n id -u 2>/dev/null)"
    touch /workspace/made
"#;

/// A package of one program, installed as people do, without any network.
const PIP: &str = r#"
    mkdir /tmp/pkg; cd /tmp/pkg
    echo 'def main(): print("hello")' > hello_ds01.py
    echo 'from setuptools import setup; setup(name="hello-ds01", version="1", py_modules=["hello_ds01"],
        entry_points={"console_scripts": ["hello-ds01=hello_ds01:main"]})' > setup.py
    pip install --quiet --user --no-index --no-build-isolation --no-deps /tmp/pkg
    cd /; echo "ran=$(hello-ds01) by $(command -v hello-ds01)"
    echo "bash=$(bash -lc 'hello-ds01; echo $HOME' | paste -sd ' ')"
"#;

/// Looks at a person's image from inside, with a workspace of the host; what
/// is made there must be the person's on the host, too.
fn seen(image: &str, ids: (u32, u32), more: &str) -> String {
    let workspace = tempfile::tempdir().unwrap();
    chown(workspace.path(), Some(ids.0), Some(ids.1)).unwrap();
    let mount = format!("{}:/workspace", workspace.path().display());
    let text = inside(image, &["-v", &mount], &format!("{LOOK}{more}"));
    let made = std::fs::metadata(workspace.path().join("made")).unwrap();
    assert_eq!((made.uid(), made.gid()), ids, "{image}");
    text
}

#[test]
fn an_account_works_from_inside_in_bases_of_each_kind_and_keeps_its_image_id() {
    const CAMPUS: u32 = 1_722_830_498;
    const TOP: u32 = u32::MAX - 1;
    let stack = stack(
        &["ubuntu", "odd"],
        &[
            ("h.baker@example.org", CAMPUS, CAMPUS, ""),
            ("204214@x", TOP, TOP, ""),
            ("first@x", 1000, 1000, ""),
            ("kept", 1005, CAMPUS, ", shell: /bin/sh"),
            ("root-too@x", 2001, 100, ", sudo: true"),
        ],
    );
    let debian = project(&stack, "debian", "h.baker@example.org", "debian");
    let top = project(&stack, "top", "204214@x", "debian");
    let ubuntu = project(&stack, "ubuntu", "first@x", "ubuntu");
    let odd = project(&stack, "odd", "kept", "odd");
    let sudo = project(&stack, "sudo", "root-too@x", "debian");
    let said = stack.build(&["-j4"]).expect(0).out();
    assert!(said.contains("uid 1000 was `ubuntu` in the base and is now `first`"), "{said}");

    let image = |uid: u32, name: &str| format!("ds01-{uid}/{name}:latest");
    let made = [
        (image(CAMPUS, &debian), "h-baker", format!("h-baker/{debian}")),
        (image(TOP, &top), "u204214", format!("u204214/{top}")),
        (image(1000, &ubuntu), "first", format!("first/{ubuntu}")),
        (image(1005, &odd), "kept", format!("kept/{odd}")),
        (image(2001, &sudo), "root-too", format!("root-too/{sudo}")),
    ];
    for ((image, account, _), (uid, gid, group)) in made.iter().zip([
        (CAMPUS, CAMPUS, "h-baker"),
        (TOP, TOP, "u204214"),
        (1000, 1000, "ubuntu"),
        (1005, CAMPUS, "campus"),
        (2001, 100, "users"),
    ]) {
        let is_debian = *account != "kept";
        let text = seen(image, (uid, gid), if is_debian { PIP } else { "" });
        let told = told(&text);
        let home = format!("/home/{account}");
        let id = format!("uid={uid}({account}) gid={gid}({group}) ");
        assert_eq!((told["whoami"], told["home"], told["folder"]), (*account, home.as_str(), "/workspace"));
        assert!(format!("{} ", told["id"]).starts_with(&id) && !told["id"].contains("cannot find"), "{text}");
        assert!(told["path"].starts_with(&format!("{home}/.local/bin:")), "{text}");
        assert_eq!(told["entry"], format!("{uid}:{gid}:{home}"));
        let (login_home, login_path) = told["login"].split_once(' ').unwrap();
        assert!(login_home == home && login_path.contains(&format!("{home}/.local/bin:")), "{text}");
        let (rules, is_root, in_group) = (told["rules"], told["sudo"], told["groups"].contains("sudo "));
        if *account == "root-too" {
            assert_eq!((rules, is_root, in_group), ("README root-too ", "0", true), "{text}");
        } else {
            assert_eq!((rules.trim(), is_root, in_group), (if is_debian { "README" } else { "" }, "", false));
        }
        if is_debian {
            assert_eq!(told["logs"], "0:0 0:0 ", "as in the base");
            assert_eq!(told["ran"], format!("hello by {home}/.local/bin/hello-ds01"));
            assert_eq!(told["bash"], format!("hello {home}"));
        }
    }
    // The base has sudo, so nothing is run for it.
    assert_eq!(layers(&made[4].0).len(), layers(DEBIAN).len() + 1);
    raw_bytes_stay(&made[3].0);

    let ids = |made: &[(String, &str, String)]| -> Vec<_> { made.iter().map(|m| image_id(&m.0)).collect() };
    let before = ids(&made);
    // Times are whole seconds: what is stamped with the present differs now.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let force: Vec<&str> = made.iter().flat_map(|(_, _, node)| ["--force", node.as_str()]).collect();
    let again = stack.build(&[&["--no-cache", "-j4"], &force[..]].concat()).expect(0);
    assert_eq!(again.built().len(), made.len(), "{}", again.out());
    assert_eq!(ids(&made), before);
}

/// Whatever the locale of whoever builds, a name keeps its bytes.
fn raw_bytes_stay(image: &str) {
    let output = Command::new("docker")
        .args(["run", "--rm", "--network=none", image, "cat", "/etc/passwd", "/etc/subuid"])
        .output()
        .unwrap();
    let kept = b"\nkept:x:1005:1722830498:J\xf6rg M\xfcller:/home/kept:/bin/sh\nkept:100000:65536\n";
    assert!(output.stdout.ends_with(kept), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn sudo_comes_with_the_account_where_the_base_has_none_and_is_one_layer_for_all() {
    // Of this run alone, or an earlier run's layers would come from the cache.
    let [first, second] = [1_722_000_000, 200_000].map(|from| from + std::process::id());
    let stack = stack(
        &["bare"],
        &[
            ("one@x", first, first, ", sudo: true"),
            ("two@x", second, 100, ", sudo: true"),
            ("three@x", 2003, 2003, ""),
        ],
    );
    let image = |uid: u32, name: &str| format!("ds01-{uid}/{name}:latest");
    let one_name = project(&stack, "one", "one@x", "bare");
    let one = image(first, &one_name);
    let two = image(second, &project(&stack, "two", "two@x", "bare"));
    let three = image(2003, &project(&stack, "three", "three@x", "bare"));
    // One before the other: BuildKit 20.10 now and then runs a step twice that
    // two solves ask for at the same moment, and then there are two layers.
    stack.build(&["--ca-bundle", CA, &one_name]).expect(0);
    stack.build(&["--ca-bundle", CA]).expect(0);

    let told_one = seen(&one, (first, first), "");
    let told_one = told(&told_one);
    assert_eq!((told_one["sudo"], told_one["rules"]), ("0", "README one "));
    let told_three = seen(&three, (2003, 2003), "echo \"program=$(command -v sudo || echo none)\"");
    let told_three = told(&told_three);
    assert_eq!((told_three["program"], told_three["rules"], told_three["sudo"]), ("none", "", ""));

    let (one, two, three) = (layers(&one), layers(&two), layers(&three));
    let base = layers(&format!("{}:t-main", stack.repository("bare")));
    assert_eq!(three.len(), base.len() + 1, "no step where no sudo is asked for");
    assert_eq!((one.len(), &one[..base.len()]), (base.len() + 2, &base[..]));
    assert_eq!(one[..one.len() - 1], two[..two.len() - 1], "one layer brings sudo to both");
}

#[test]
fn an_account_that_a_base_cannot_take_is_refused_by_name_and_gets_no_image() {
    let stack = stack(
        &["odd"],
        &[("kept@x", 1006, 1006, ""), ("other@x", 1005, 1005, ""), ("admin@x", 1007, 1007, ", sudo: true")],
    );
    // The home of the odd base's own account holds a file.
    stack.write("images/odd/etc/notes", "mine");
    stack.write(
        "images/odd/Dockerfile",
        format!(
            "{ODD}RUN mkdir -p /home/kept && cp /etc/notes /home/kept/ && chown -R 1005:1005 /home/kept\n"
        ),
    );
    let names = [
        project(&stack, "name", "kept@x", "odd"),
        project(&stack, "uid", "other@x", "odd"),
        project(&stack, "apt", "admin@x", "odd"),
    ];
    let said = stack.run(&["build", "--progress", "plain"]).expect(1);
    let said = said.out() + &said.err();
    for part in [
        "the base has an account `kept` with uid 1005, not 1006",
        "uid 1005 of `other` is `kept` in the base, whose home holds files (`/home/kept/notes`)",
        "`admin` is to have sudo, and the base has neither `/usr/bin/sudo` nor `/usr/bin/apt-get`",
    ] {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
    for (uid, name) in [1006, 1005, 1007].into_iter().zip(names) {
        assert_eq!(image_id(&format!("ds01-{uid}/{name}:latest")), None);
    }
}

# Installs the packages named as arguments. Update and install are one step,
# since the lists lie in a cache that may be gone when only one of them runs.
set -eu
umask 022
mkdir -p -m 1777 /run/lock
apt() { apt-get -c /run/ds01/apt.conf "$@"; }

# The user that apt downloads as cannot read a secret.
[ ! -e /run/secrets/ca ] || cat /run/secrets/ca > /run/ds01-ca.pem

# Another mirror stands in for the distribution's own, for this step only.
# Security updates come from where the base says.
if [ -e /run/secrets/ds01-apt-mirror ]; then
    mkdir -p /run/ds01-apt/sources.list.d
    mirror=$(sed 's/[&#\]/\\&/g' /run/secrets/ds01-apt-mirror)
    own='https?://(deb\.debian\.org/debian|([a-z]+\.)?archive\.ubuntu\.com/ubuntu)/?([[:space:]]|$)'
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        [ -f "$file" ] || continue
        sed -E "s#$own#$mirror\\3#g" "$file" > "/run/ds01-apt/${file#/etc/apt/}"
    done
fi

apt update
apt install --yes --no-install-recommends -- "$@"

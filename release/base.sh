#!/bin/sh
# Builds the Python that the Linux executables carry: CPython with profile-guided optimization and a supported OpenSSL, made in an
# old Debian, so that the result starts wherever glibc is 2.31 or later (Debian 11, Ubuntu 20.04, RHEL 9 and newer).
#
#   release/base.sh FOLDER      needs root, debootstrap, 3 GB of disk, some 40 minutes of two cores; prints what it built
#
# FOLDER/python is the result (it may be moved). FOLDER/root is the Debian it was made in and may be deleted. Nothing here has an
# address: packages and sources come from the Debian mirror that this machine's debootstrap uses, checked by Debian's signatures.
set -eu

FLOOR_SUITE=bullseye      # its glibc, 2.31, is the floor
OPENSSL_SUITE=trixie      # OpenSSL 3.5, supported until 2030, with Debian's security patches
PYTHON_SUITE=forky        # the newest CPython 3.14 that Debian carries
PYTHON_PACKAGE=python3.14
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

folder=$(mkdir -p "$1" && cd "$1" && pwd)
root=$folder/root
[ "$(id -u)" = 0 ] || { echo "release/base.sh makes a chroot: run it as root." >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "debootstrap is not installed (apt install debootstrap)." >&2; exit 1; }
[ -r "$KEYRING" ] || { echo "$KEYRING is missing (apt install debian-archive-keyring)." >&2; exit 1; }

if [ ! -e "$root/.ready" ]; then
    rm -rf "$root"
    debootstrap --variant=minbase --keyring="$KEYRING" \
        --include=build-essential,ca-certificates,dpkg-dev,libffi-dev,patchelf,pkg-config,zlib1g-dev "$FLOOR_SUITE" "$root"
    cp "$KEYRING" "$root/usr/share/keyrings/"
    mirror=$(sed -n 's/^deb \([^ ]*\) .*/\1/p' "$root/etc/apt/sources.list" | head -n 1)
    for suite in $OPENSSL_SUITE $OPENSSL_SUITE-updates $PYTHON_SUITE; do
        echo "deb-src [signed-by=$KEYRING] $mirror $suite main"
    done >"$root/etc/apt/sources.list.d/sources.list"
    touch "$root/.ready"
fi
cp /etc/resolv.conf /etc/hosts "$root/etc/"

mounted=""
finish() { for where in $mounted; do umount "$where"; done; }
trap finish EXIT
mount -t proc proc "$root/proc" && mounted="$root/proc"

cat >"$root/build.sh" <<'BUILD'
set -eu
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
jobs=$(nproc)
prefix=/opt/python
mkdir -p /src && cd /src
apt-get update -qq
for package in openssl/$OPENSSL_SUITE $PYTHON_PACKAGE/$PYTHON_SUITE; do
    name=${package%/*}
    [ -e "/src/$name.fetched" ] || { apt-get source -qq "$package" && touch "/src/$name.fetched"; }
done

# Ciphers and protocols that no Sourcegraph, proxy or certificate of today needs are left out: less to carry, less to go wrong.
if [ ! -e /src/openssl.built ]; then
    cd /src/openssl-3.*/
    ./Configure linux-x86_64 --prefix=$prefix --libdir=lib --openssldir=/etc/ssl shared no-tests no-docs no-apps \
        no-legacy no-engine no-quic no-sctp no-srp no-dtls no-ssl3 no-comp no-ts no-cms no-idea no-seed no-aria no-camellia \
        no-bf no-cast no-mdc2 no-rc2 no-rc4 no-whirlpool no-sm2 no-sm3 no-sm4 no-gost no-slh-dsa -O2 '-Wl,-rpath,\$$ORIGIN'
    make -s -j "$jobs" build_libs && make -s install_dev >/dev/null
    touch /src/openssl.built
fi

cd /src/$PYTHON_PACKAGE-*/
./configure -q --prefix=$prefix --enable-shared --enable-optimizations --with-lto --without-ensurepip --disable-test-modules \
    --without-doc-strings --with-openssl=$prefix --with-ssl-default-suites=openssl CFLAGS=-g0
make -s -j "$jobs" PROFILE_TASK='-m test --pgo --timeout=300'
make -s install >/dev/null

cp -a /usr/lib/x86_64-linux-gnu/libffi.so.7* /lib/x86_64-linux-gnu/libz.so.1* $prefix/lib/
rm -rf $prefix/lib/*.a $prefix/lib/cmake $prefix/lib/python3.*/config-*/*.a
find $prefix -name __pycache__ -prune -exec rm -rf {} +
for file in $(find $prefix/bin $prefix/lib -type f \( -name '*.so*' -o -name 'python3.??' \)); do
    strip --strip-unneeded "$file"
    patchelf --set-rpath "\$ORIGIN/$(realpath --relative-to="$(dirname "$file")" $prefix/lib)" "$file"
done
$prefix/bin/python3 -c 'import ctypes, hashlib, ssl, sys, zlib; print(sys.version); print(ssl.OPENSSL_VERSION)'
BUILD

chroot "$root" env OPENSSL_SUITE=$OPENSSL_SUITE PYTHON_SUITE=$PYTHON_SUITE PYTHON_PACKAGE=$PYTHON_PACKAGE \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh /build.sh
rm -rf "$folder/python"
cp -a "$root/opt/python" "$folder/python"
"$folder/python/bin/python3" -c 'import ssl, sys; print(f"{sys.prefix}: Python {sys.version.split()[0]}, {ssl.OPENSSL_VERSION}")'

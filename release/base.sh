#!/bin/sh
# Builds the Python that the Linux executables carry: CPython with profile-guided optimization and a supported OpenSSL, made in an
# old Debian, so that the result starts wherever glibc is 2.31 or later (Debian 11, Ubuntu 20.04, RHEL 9 and newer).
#
#   release/base.sh FOLDER      needs root, debootstrap, 3 GB of disk, some 40 minutes of two cores; prints what it built
#
# FOLDER/python is the result (it may be moved). FOLDER/root is the Debian it was made in and may be deleted. Nothing here has an
# address: all comes from the Debian mirror that this machine's debootstrap uses, checked by Debian's signatures or the hashes below.
set -eu

SUITE=bullseye      # its glibc, 2.31, is the floor
# The sources, as Debian has them, with the SHA-256 of the description that holds the hashes of all the rest. Raise them together.
OPENSSL=openssl_3.5.7-1~deb13u2   # supported until 2030; with Debian's security patches
OPENSSL_HASH=25904642004d30c5c3da4642a72a7d09f8d9eb6e5ce62dab53c0371114faf8f2
PYTHON=python3.14_3.14.7-1
PYTHON_HASH=cc0e605221af514ef83d0445ef163c8ef05fcc53b54cf7b71ccedbbd28dbea90
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

folder=$(mkdir -p "$1" && cd "$1" && pwd)
root=$folder/root
[ "$(id -u)" = 0 ] || { echo "release/base.sh makes a chroot: run it as root." >&2; exit 1; }
for needed in curl debootstrap dpkg-source; do
    command -v $needed >/dev/null || { echo "$needed is not installed (apt install curl debootstrap dpkg-dev)." >&2; exit 1; }
done
[ -r "$KEYRING" ] || { echo "$KEYRING is missing (apt install debian-archive-keyring)." >&2; exit 1; }

if [ ! -e "$root/.ready" ]; then
    rm -rf "$root"
    debootstrap --variant=minbase --keyring="$KEYRING" \
        --include=build-essential,libffi-dev,libuv1,patchelf,pkg-config,zlib1g-dev "$SUITE" "$root"
    touch "$root/.ready"
fi
mirror=$(sed -n 's/^deb \([^ ]*\) .*/\1/p' "$root/etc/apt/sources.list" | head -n 1)

# fetch NAME HASH: unpacks a source package to $root/src/NAME, without Debian's patches where a third word says so.
fetch() {
    [ ! -d "$root/src/$1" ] || return 0
    mkdir -p "$root/src/files"
    cd "$root/src/files"
    package=${1%%_*}
    pool=$mirror/pool/main/$(printf %.1s "$package")/$package
    curl -sSfO "$pool/$1.dsc"
    echo "$2  $1.dsc" | sha256sum --check --quiet
    sed -n '/^Checksums-Sha256:/,/^Files:/s/^ [0-9a-f]* [0-9]* //p' "$1.dsc" | while read -r file; do
        curl -sSfO "$pool/$file"
    done
    # It compares every file with the description; the keys of Debian's developers need not be here, since that is pinned.
    dpkg-source ${3:-} -x "$1.dsc" "$root/src/$1" >/dev/null
}
fetch "$OPENSSL" "$OPENSSL_HASH"
fetch "$PYTHON" "$PYTHON_HASH" --skip-patches # they move the folders that packages are installed to

finish() { umount "$root/proc"; }
mount -t proc proc "$root/proc"
trap finish EXIT

cat >"$root/build.sh" <<'BUILD'
set -eu
prefix=/opt/python
jobs=$(nproc)
export LC_ALL=C.UTF-8
# Ciphers and protocols that no Sourcegraph, proxy or certificate of today needs are left out: less to carry, less to go wrong.
# It looks for no configuration on the user's machine: RHEL's has words that only RHEL's OpenSSL knows, and then nothing works.
if [ ! -e "/src/$OPENSSL.built" ]; then
    cd "/src/$OPENSSL"
    ./Configure "linux-$(uname -m)" --prefix=$prefix --libdir=lib --openssldir=$prefix/ssl shared no-tests no-docs no-apps \
        no-legacy no-engine no-quic no-sctp no-srp no-dtls no-ssl3 no-comp no-ts no-cms no-idea no-seed no-aria no-camellia \
        no-bf no-cast no-mdc2 no-rc2 no-rc4 no-whirlpool no-sm2 no-sm3 no-sm4 no-gost no-slh-dsa -O2 '-Wl,-rpath,\$$ORIGIN'
    make -s -j "$jobs" build_libs && make -s install_dev >/dev/null
    touch "/src/$OPENSSL.built"
fi

cd "/src/$PYTHON"
./configure -q --prefix=$prefix --enable-shared --enable-optimizations --with-lto --without-ensurepip --disable-test-modules \
    --without-doc-strings --with-openssl=$prefix --with-openssl-rpath=auto --with-ssl-default-suites=openssl CFLAGS=-g0
make -s -j "$jobs" PROFILE_TASK='-m test --pgo --timeout=300'
make -s install >/dev/null

triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
cp -a /usr/lib/$triplet/libffi.so.7* /lib/$triplet/libz.so.1* $prefix/lib/
mkdir -p $prefix/licences
cp "/src/$OPENSSL/LICENSE.txt" $prefix/licences/OpenSSL.txt
# Of what Python has in it, and of libuv, which uvloop has in it and whose licence its wheel has not.
cp "/src/$PYTHON/Doc/license.rst" $prefix/licences/Python-parts.txt
sed '/\*\//q' "/src/$PYTHON/Modules/_hacl/Hacl_Hash_SHA2.c" >$prefix/licences/HACL.txt
for library in libffi7 libuv1 zlib1g; do cp /usr/share/doc/$library/copyright $prefix/licences/$library.txt; done
rm -rf $prefix/lib/*.a $prefix/lib/cmake $prefix/lib/python3.*/config-*/*.a
find $prefix -name __pycache__ -prune -exec rm -rf {} +
for file in $(find $prefix/bin $prefix/lib -type f \( -name '*.so*' -o -name 'python3.??' \)); do
    strip --strip-unneeded "$file"
    patchelf --set-rpath "\$ORIGIN/$(realpath --relative-to="$(dirname "$file")" $prefix/lib)" "$file"
done
$prefix/bin/python3 -c 'import ctypes, hashlib, ssl, sys, zlib; print(sys.version); print(ssl.OPENSSL_VERSION)'
BUILD

chroot "$root" env -i OPENSSL="$OPENSSL" PYTHON="$PYTHON" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh /build.sh
rm -rf "$folder/python"
cp -a "$root/opt/python" "$folder/python"
# What of it is Debian's, for the bill of materials: fixes of security are told by Debian's versions, not by the libraries'.
{
    echo "${OPENSSL%%_*} ${OPENSSL#*_}"
    chroot "$root" dpkg-query -W -f '${source:Package} ${source:Version}\n' libffi7 zlib1g
} >"$folder/python/share/sources.txt"
"$folder/python/bin/python3" -c 'import ssl, sys; print(f"{sys.prefix}: Python {sys.version.split()[0]}, {ssl.OPENSSL_VERSION}")'

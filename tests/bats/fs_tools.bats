# Ordinary tools on a mount.

load helper

setup() {
	keydir_setup
	start_fs
	cd "$MNT" || return
}

teardown() {
	cd /
	keydir_teardown
}

@test "echo, cat and >> work" {
	echo hello >greeting
	same hello "$(cat greeting)"
	echo again >>greeting
	same $'hello\nagain' "$(cat greeting)"
	: >empty
	same 0 "$(stat -c %s empty)"
	same "" "$(cat empty)"
	printf x >greeting
	same x "$(cat greeting)"
}

@test "mkdir -p, mv, rm -r, find, grep -r work" {
	mkdir -p a/b/c
	echo needle >a/b/c/key
	echo hay >a/other
	same a/b/c/key "$(grep -rl needle .  | sed 's|^\./||')"
	mv a/b/c/key a/b/moved
	same needle "$(cat a/b/moved)"
	same $'./a\n./a/b\n./a/b/c\n./a/b/moved\n./a/other' "$(find . -mindepth 1 | sort)"
	mv a z
	same needle "$(cat z/b/moved)"
	not test -e a
	rm -r z
	same "" "$(ls -A)"
}

@test "cp -a keeps content, modes, times and attributes" {
	mkdir src
	echo one >src/one
	chmod 600 src/one
	touch -d '2020-02-03 04:05:06.789' src/one
	setfattr -n user.colour -v blue src/one
	mkdir -m 700 src/sub
	echo two >src/sub/two
	chmod 4755 src/sub/two
	cp -a src copy
	diff -r src copy
	same "$(stat -c '%a %s %Y' src/one src/sub src/sub/two)" \
		"$(stat -c '%a %s %Y' copy/one copy/sub copy/sub/two)"
	same blue "$(getfattr --only-values -n user.colour copy/one)"
}

@test "a copy of /usr/include is equal" {
	stop "$FS_PID"
	start_fs --size 1G
	cd "$MNT"
	cp -a /usr/include copied
	diff -r --no-dereference /usr/include copied
	same "$(cd /usr/include && find . -printf '%y %s %m %T@ %l %P\n' | grep -v ^d | sort | cksum)" \
		"$(cd copied && find . -printf '%y %s %m %T@ %l %P\n' | grep -v ^d | sort | cksum)"
	rm -r copied
	same "" "$(ls -A)"
}

@test "sed -i replaces a file" {
	printf 'one\ntwo\n' >text
	sed -i s/two/2/ text
	same $'one\n2' "$(cat text)"
	same text "$(ls -A)"
}

@test "sort -o writes onto its input" {
	printf 'c\na\nb\n' >list
	sort -o list list
	same $'a\nb\nc' "$(cat list)"
}

@test "vim saves, with a backup copy" {
	require vim
	echo before >text
	vim -es -u NONE -c 'set backup writebackup backupcopy=no' -c 'normal oafter' -c wq text
	same $'before\nafter' "$(cat text)"
	same before "$(cat 'text~')"
	vim -es -u NONE -c 'set nobackup writebackup backupcopy=yes' -c 'normal omore' -c wq text
	same $'before\nafter\nmore' "$(cat text)"
}

@test "tar packs and unpacks" {
	mkdir -p tree/deep
	seq 1 5000 >tree/numbers
	: >tree/deep/empty
	touch -d '2001-01-01' tree/numbers
	tar cf tree.tar tree
	mkdir out
	tar xf tree.tar -C out
	diff -r tree out/tree
	same "$(stat -c %Y tree/numbers)" "$(stat -c %Y out/tree/numbers)"
	tar df tree.tar
}

@test "rsync -a has nothing to do the second time" {
	require rsync
	mkdir -p from/sub
	seq 1 1000 >from/numbers
	echo x >from/sub/x
	rsync -a from/ to/
	diff -r from to
	same "" "$(rsync -ai from/ to/)"
	echo y >from/sub/x
	rsync -a --inplace --checksum from/ to/
	diff -r from to
	rm from/numbers
	rsync -a --delete from/ to/
	diff -r from to
}

@test "git: init, commit, branch, gc, fsck, clone" {
	require git
	export HOME=$T GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
	export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
	git -c init.defaultBranch=main init -q repo
	cd repo
	for i in 1 2 3; do
		echo "$i" >"file$i"
		git add .
		git commit -qm "change $i"
	done
	same 3 "$(git log --oneline | wc -l)"
	git checkout -qb side HEAD~1
	same $'file1\nfile2' "$(ls)"
	git checkout -q main
	git gc -q
	git fsck --strict
	same "" "$(git status --porcelain)"
	cd ..
	git clone -q repo clone
	diff -r -x .git repo clone
}

@test "make builds, and has nothing to do the second time" {
	printf 'int main(void) { return 7; }\n' >main.c
	printf 'prog: main.c\n\t$(CC) -o prog main.c\n' >Makefile
	make
	run ./prog
	same 7 "$status"
	same "make: 'prog' is up to date." "$(make)"
	touch main.c
	not make -q
}

@test "dd with seek and conv=notrunc changes the right bytes" {
	printf 0123456789 >key
	printf AB | dd of=key bs=1 seek=3 conv=notrunc status=none
	same 012AB56789 "$(cat key)"
	printf Z | dd of=key bs=1 seek=12 conv=notrunc status=none
	same "30 31 32 41 42 35 36 37 38 39 00 00 5a" "$(od -An -tx1 key | xargs)"
	dd if=/dev/zero of=zeros bs=64k count=20 status=none
	same 1310720 "$(stat -c %s zeros)"
	cmp -n 1310720 zeros /dev/zero
}

@test "symbolic links are stored and followed" {
	mkdir dir
	echo v >dir/key
	ln -s dir/key alias
	ln -s dir dirlink
	ln -s nowhere dangling
	same v "$(cat alias)"
	same dir/key "$(readlink alias)"
	same key "$(ls dirlink/)"
	fails_with "No such file" cat dangling
	echo w >"alias"
	same w "$(cat dir/key)"
	echo made >dangling
	same made "$(cat nowhere)"
	mv alias dir/moved
	same dir/key "$(readlink dir/moved)"
	ln -sf key dir/moved
	same w "$(cat dir/moved)"
	rm dir/moved dirlink dangling
	same $'dir\nnowhere' "$(ls)"
	local long
	long=$(printf 'l%.0s' {1..4095})
	ln -s "$long" long
	same "$long" "$(readlink long)"
}

@test "truncate shortens and lengthens" {
	printf 0123456789 >key
	truncate -s 4 key
	same 0123 "$(cat key)"
	truncate -s 6 key
	same "30 31 32 33 00 00" "$(od -An -tx1 key | xargs)"
	truncate -s 0 key
	same 0 "$(stat -c %s key)"
	truncate -s 100000 key
	cmp -n 100000 key /dev/zero
}

@test "python's open modes work" {
	require python3
	python3 - <<'PY'
def content():
    with open("key") as f:
        return f.read()

with open("key", "w") as f:
    f.write("first")
assert content() == "first"
with open("key", "a") as f:
    f.write(" second")
assert content() == "first second"
with open("key", "r+") as f:
    f.write("FIRST")
    f.seek(0)
    assert f.read() == "FIRST second"
with open("key", "w+") as f:
    f.write("new")
    f.flush()
    assert content() == "new"
    f.seek(0)
    assert f.read() == "new"
with open("key", "a+") as f:
    f.write("er")
    f.seek(0)
    assert f.read() == "newer"
    f.write("!")
assert content() == "newer!"
try:
    open("key", "x")
    assert False
except FileExistsError:
    pass
with open("other", "x") as f:
    f.write("x")
with open("bytes", "wb") as f:
    f.write(bytes(range(256)) * 1000)
with open("bytes", "rb") as f:
    assert f.read() == bytes(range(256)) * 1000
PY
}

@test "mmap: shared writes are read back, from the file and after closing it" {
	require python3
	head -c 20000 /dev/zero >key
	python3 - <<'PY'
import mmap, os
fd = os.open("key", os.O_RDWR)
m = mmap.mmap(fd, 20000)
m[5000:5005] = b"hello"
m.flush()
assert os.pread(fd, 5, 5000) == b"hello"
os.close(fd)
m[9000:9003] = b"bye"
m.close()
r = os.open("key", os.O_RDONLY)
m = mmap.mmap(r, 20000, prot=mmap.PROT_READ)
assert m[5000:5005] == b"hello" and m[9000:9003] == b"bye"
PY
	same hello "$(tail -c +5001 key | head -c 5)"
	stop "$FS_PID"
	start_fs
	same bye "$(tail -c +9001 "$MNT/key" | head -c 3)"
}

@test "an open file keeps its content when it is unlinked or replaced" {
	seq 1 20000 >key
	exec 7<key
	rm key
	same "$(seq 1 20000 | cksum)" "$(cksum <&7)"
	exec 7<&-
	seq 1 20000 >key
	exec 7<key
	read -r line <&7
	same 1 "$line"
	echo other >new
	mv new key
	same "$(seq 2 20000 | cksum)" "$(cksum <&7)"
	same other "$(cat key)"
	exec 7<&-
	exec 8<>scratch
	rm scratch
	echo written >&8
	same written "$(cat /proc/self/fd/8)"
	exec 8<&-
	not test -e scratch
}

@test "several writers append whole lines" {
	local pids=() w i
	for w in 1 2 3 4; do
		(for i in {1..500}; do echo "writer $w line $i" >>log; done) &
		pids+=($!)
	done
	wait "${pids[@]}"
	same 2000 "$(wc -l <log)"
	same 2000 "$(grep -cE '^writer [1-4] line [0-9]+$' log)"
	same 2000 "$(sort -u log | wc -l)"
}

@test "10,000 names: ls, find and rm" {
	mkdir many
	(cd many && seq -f 'key-%05g' 1 10000 | xargs touch)
	same 10000 "$(ls many | wc -l)"
	same 10000 "$(find many -type f | sort -u | wc -l)"
	same "$(seq -f 'key-%05g' 1 10000 | cksum)" "$(ls -U many | sort | cksum)"
	rm -r many
	not test -e many
}

# compare SEED: run in two directories; links to ../ do not leave them.
compare() {
	mkdir -p "$MNT/$1/ours" "$T/there/$1/theirs"
	python3 -B "$BATS_TEST_DIRNAME/compare.py" "$1" 1500 "$MNT/$1/ours" "$T/there/$1/theirs"
}

@test "random operations have the same results as on tmpfs" {
	require python3
	local seed
	for seed in 1 2 3 4; do
		compare $seed
	done
}

# That script says which processes run, and which state a mapping must show.
@test "random operations of several processes in shared directories, with readers of mappings" {
	require python3
	start_fs -m "$T/second"
	local seed
	for seed in 11 12; do
		mkdir -p "$MNT/$seed" "$T/there/$seed"
		python3 -B "$BATS_TEST_DIRNAME/together.py" $seed 1000 "$MNT/$seed" "$T/second/$seed" \
			"$T/there/$seed"
	done
}

@test "random operations have the same results as on tmpfs, -o async_close" {
	require python3
	start_fs -m "$T/first" -o async_close
	mkdir -p "$MNT/shared" "$T/there/shared"
	python3 -B "$BATS_TEST_DIRNAME/together.py" 21 1000 "$T/first/shared" "$MNT/shared" \
		"$T/there/shared"
}

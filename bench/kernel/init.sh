#!/busybox sh
# The guest's initramfs: this host's root, read-only by 9p, below a memory overlay; control groups of version 2.
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sysfs /sys
/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /busybox insmod "$module"; done
/busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host || exec /busybox sh
/busybox mount -t tmpfs tmpfs /over
/busybox mkdir /over/upper /over/work
/busybox mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work root /root
for name in dev proc sys; do /busybox mount --move /$name /root/$name; done
for folder in /tmp /run /var/tmp; do /busybox mount -t tmpfs -o mode=1777 tmpfs /root$folder; done
/busybox mkdir -p /root/dev/shm /root/dev/pts
/busybox mount -t tmpfs -o mode=1777 tmpfs /root/dev/shm
/busybox mount -t devpts devpts /root/dev/pts
/busybox mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
/busybox ip link set lo up
/busybox cp /guest.sh /root/run/guest.sh
. /settings
export CHECKOUT USER_ID REST
exec /busybox switch_root -c /dev/console /root /bin/bash /run/guest.sh

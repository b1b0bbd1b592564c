// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/hash.h"

#include <sys/random.h>

#include <cerrno>

namespace synward {
namespace {

std::uint64_t splitmix64(std::uint64_t& state) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

}  // namespace

Result<KeySource> KeySource::random() {
    KeySource source(0);
    // Up to 256 bytes come whole (getrandom(2)).
    static_assert(sizeof source.pool_ <= 256);
    if (getrandom(source.pool_.data(), sizeof source.pool_, 0) != sizeof source.pool_)
        return fail_errno(errno, "cannot read random numbers for the deciders' hash keys");
    source.state_ = source.pool_[0];
    return source;
}

HashKey KeySource::next() {
    HashKey key;
    for (std::size_t i = 0; i < key.a.size(); i++) {
        const std::uint64_t mixed = splitmix64(state_);
        key.a[i] = mixed ^ pool_[mixed >> 60];
    }
    return key;
}

}  // namespace synward

// SPDX-License-Identifier: GPL-2.0-or-later
// The maps of a program in the kernel, found again by name.
#pragma once

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "lib/abi/maps.h"
#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward {

// Owns a descriptor of every map of one program. Move-only.
class MapSet {
  public:
    struct Map {
        Descriptor fd;
        bpf_map_info info{};
    };

    // Code `mismatch` when a map of lib/abi/maps.h is absent or has another layout.
    [[nodiscard]] static Result<MapSet> of_program(int program_fd);

    // -1 when there is no such map.
    [[nodiscard]] int fd(std::string_view name) const;
    // Most entries of a map; 0 when there is no such map.
    [[nodiscard]] std::uint32_t entries(std::string_view name) const;
    [[nodiscard]] const std::map<std::string, Map, std::less<>>& all() const { return maps_; }

  private:
    std::map<std::string, Map, std::less<>> maps_;
};

// A BPF_F_MMAPABLE array map in our memory: element i is data()[i]. The elements'
// size must be a multiple of 8. Fields that the kernel reads meanwhile are to be
// accessed with std::atomic_ref. Move-only.
template <typename T>
class MappedArray {
    static_assert(sizeof(T) % 8 == 0);

  public:
    [[nodiscard]] static Result<MappedArray> create(int fd, std::size_t count, std::string_view name) {
        const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        const std::size_t bytes = (sizeof(T) * count + page - 1) / page * page;
        void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
            return fail_errno(errno, "cannot map " + std::string(name) + " into memory");
        return MappedArray(static_cast<T*>(memory), bytes);
    }
    MappedArray(MappedArray&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
    MappedArray& operator=(MappedArray&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~MappedArray() {
        if (data_) munmap(data_, bytes_);
    }
    [[nodiscard]] T* data() const { return data_; }

  private:
    MappedArray(T* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
    T* data_;
    std::size_t bytes_;
};

// Information on a program; code `missing` when it is gone.
[[nodiscard]] Result<bpf_prog_info> program_info(int program_fd);
[[nodiscard]] Result<Descriptor> open_program(std::uint32_t id);

}  // namespace synward

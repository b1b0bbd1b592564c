// SPDX-License-Identifier: GPL-2.0-or-later
// The BPF object under test, loaded with plain libbpf and never attached.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "abi/maps.h"
#include "bytes.h"

struct bpf_object;

namespace synward::bpf_test {

// The tests' flow table has 1 << kFlowShift sets.
inline constexpr unsigned kFlowShift = 6;
// And their table of exact sources 1 << kSourceShift in each generation. With a gate of so many bits,
// which is in the map sw_gate, half of them are in use.
inline constexpr unsigned kSourceShift = 4;
inline constexpr unsigned kGateShift = kSourceShift + 5;

class Object {
  public:
    // What one run of the XDP program did. `metadata` is cut off the frame.
    struct Run {
        std::uint32_t action;  // enum xdp_action
        Bytes frame;
        Bytes metadata;
    };

    // Loads all programs and maps. Throws std::runtime_error with libbpf's last words.
    explicit Object(const std::string& path);

    // -1 if there is none; `map` throws.
    [[nodiscard]] int program(const std::string& name) const;
    [[nodiscard]] int map(const std::string& name) const;
    [[nodiscard]] bool has_map(const std::string& name) const;

    template <typename T>
    [[nodiscard]] T read(const std::string& name, std::uint32_t key) const {
        T value{};
        read_raw(name, &key, sizeof key, &value, sizeof value);
        return value;
    }
    template <typename K, typename T>
    void write(const std::string& name, const K& key, const T& value) const {
        write_raw(name, &key, sizeof key, &value, sizeof value);
    }
    // Removes every entry of a hash, LRU or trie.
    void clear(const std::string& name) const;

    // The program sees the frame as if it came in by the loopback device of the
    // caller's network namespace.
    [[nodiscard]] Run run(View frame) const;

    // Walks over the sockets of the caller's network namespace with the iterator.
    void walk() const;

  private:
    struct Close {
        void operator()(bpf_object* object) const;
    };
    void read_raw(const std::string& name, const void* key, std::size_t key_size, void* value,
                  std::size_t size) const;
    void write_raw(const std::string& name, const void* key, std::size_t key_size, const void* value,
                   std::size_t size) const;
    [[nodiscard]] int checked_map(const std::string& name, std::size_t key, std::size_t value) const;

    [[nodiscard]] void* part(const std::string& name, const void* key, std::size_t size) const;

    std::unique_ptr<bpf_object, Close> object_;
    std::uint8_t* memory_ = nullptr;  // sw_memory, mapped as long as the process lives
    int xdp_ = -1;
};

}  // namespace synward::bpf_test

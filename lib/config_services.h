// SPDX-License-Identifier: GPL-2.0-or-later
// Reads [defaults] and [[service]] of the config. For config.cpp only, as config_reader.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/config_reader.h"

namespace synward {

// Mistakes go to `read`, what is read into `config`; both outlive it.
class ServiceReader {
  public:
    ServiceReader(ConfigReader& read, Config& config) : read_(read), config_(config) {}

    // First, since services start from them.
    void defaults(const toml::table& table);
    void services(const toml::node& node);

  private:
    using Fields = std::vector<ConfigReader::Field>;

    Fields settings(Settings& s, const std::string& path);
    void check_rates(const toml::table& table, const Settings& s, const std::string& path);
    void service(const toml::table& table);
    void service_name(const toml::node& node, const std::string& path, ServiceConfig& service);
    void service_ports(const toml::node& node, const std::string& path, ServiceConfig& service);
    void service_addresses(const toml::node& node, const std::string& path, ServiceConfig& service);
    void claim(const toml::table& table, const std::string& path, const ServiceConfig& service);

    ConfigReader& read_;
    Config& config_;
    std::map<std::string, toml::source_index> seen_names_;
    std::map<std::uint16_t, std::map<Address, std::string>> claims_;  // Address{}: every address
    std::size_t address_count_ = 0;
};

}  // namespace synward
